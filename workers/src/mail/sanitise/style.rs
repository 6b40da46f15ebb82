//! `style` attributes, by property and by value.
//!
//! A declaration stays when its property is on the list and its value holds nothing but words, numbers that are not
//! negative, units, colours and font names. Nothing that loads, computes or is positioned can be written in that, and
//! nothing is moved back over what stands before it. What stays can still be larger than its place and then lies over
//! what is beside it (`height: 0`, `width: 9999px`, `line-height: 0`, a float, text from right to left), as far as the
//! nearest box that clips.

/// Properties that stay: how newsletters lay out text, and nothing that takes an element out of the flow for good.
const PROPERTIES: [&str; 71] = [
    "background",
    "background-color",
    "border",
    "border-bottom",
    "border-bottom-color",
    "border-bottom-left-radius",
    "border-bottom-right-radius",
    "border-bottom-style",
    "border-bottom-width",
    "border-collapse",
    "border-color",
    "border-left",
    "border-left-color",
    "border-left-style",
    "border-left-width",
    "border-radius",
    "border-right",
    "border-right-color",
    "border-right-style",
    "border-right-width",
    "border-spacing",
    "border-style",
    "border-top",
    "border-top-color",
    "border-top-left-radius",
    "border-top-right-radius",
    "border-top-style",
    "border-top-width",
    "border-width",
    "clear",
    "color",
    "direction",
    "display",
    "empty-cells",
    "float",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-variant",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style",
    "list-style-position",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "max-height",
    "max-width",
    "min-height",
    "min-width",
    // Clips, which is what keeps a preheader of no height from showing.
    "overflow",
    "overflow-wrap",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "table-layout",
    "text-align",
    "text-decoration",
    "text-indent",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
];
/// The functions that a value may call.
const FUNCTIONS: [&str; 4] = ["rgb", "rgba", "hsl", "hsla"];
/// Words that no value may hold, whatever is around them.
const WORDS: [&str; 7] = ["url", "expression", "image", "script", "behavior", "binding", "fixed"];
/// The longest property, in bytes.
const MAX_PROPERTY: usize = 32;
/// The longest value that stays, in bytes, and the most declarations.
const MAX_VALUE: usize = 200;
const MAX_DECLARATIONS: usize = 64;

/// Whether all the declarations stay.
pub(super) fn is_kept(style: &str) -> bool {
    let mut declarations = style.split(';');
    declarations.by_ref().take(MAX_DECLARATIONS).all(|declaration| keep(declaration).is_some())
        && declarations.next().is_none()
}

/// The declarations that stay, and how many do not. `None` when none stays.
pub(super) fn filter(style: &str) -> (Option<String>, u32) {
    let (mut kept, mut removed) = (String::new(), 0);
    let declarations = style.split(';').map(str::trim).filter(|declaration| !declaration.is_empty());
    for (index, declaration) in declarations.enumerate() {
        match keep(declaration) {
            Some((property, value)) if index < MAX_DECLARATIONS => {
                if !kept.is_empty() {
                    kept.push_str("; ");
                }
                kept.push_str(property);
                kept.push_str(": ");
                kept.push_str(value);
            }
            _ => removed += 1,
        }
    }
    ((!kept.is_empty()).then_some(kept), removed)
}

fn keep(declaration: &str) -> Option<(&'static str, &str)> {
    let (property, value) = declaration.split_once(':')?;
    let property = known(property.trim())?;
    let value = value.trim();
    // A name of a font may hold a dash and a digit; no size of one is negative.
    let is_placed = property.starts_with("font") || !has_negative(value);
    (is_plain(value) && is_placed).then_some((property, value))
}

/// Whether there is a negative number in a value. It may stand right behind another: `0-5px` are two.
fn has_negative(value: &str) -> bool {
    value.as_bytes().windows(2).any(|pair| matches!(pair, [b'-', b'0'..=b'9' | b'.']))
}

/// A property on the list, in whatever case it was written.
fn known(property: &str) -> Option<&'static str> {
    let mut lower = [0; MAX_PROPERTY];
    let lower = lower.get_mut(..property.len())?;
    lower.copy_from_slice(property.as_bytes());
    lower.make_ascii_lowercase();
    // Few are as long and end alike: that is faster to see than where it stands in the order.
    let is_found = |known: &&&str| {
        let known = known.as_bytes();
        known.len() == lower.len() && known.last() == lower.last() && known == lower
    };
    PROPERTIES.iter().find(is_found).copied()
}

/// Whether a value is made of words, numbers, colours and quoted names alone.
fn is_plain(value: &str) -> bool {
    if value.is_empty() || value.len() > MAX_VALUE {
        return false;
    }
    let (mut open, mut quotes, mut apostrophes, mut is_ascii) = (0_u32, 0_u32, 0_u32, true);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' if begins_word(value, at) => return false,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'#' | b'.' | b',' | b'%' | b'+' | b'-' | b'!' => {}
            b'(' if calls_function(value, at) => open += 1,
            b')' if open > 0 => open -= 1,
            b'"' => quotes += 1,
            b'\'' => apostrophes += 1,
            0x80.. => is_ascii = false,
            _ => return false,
        }
    }
    let is_closed = open == 0 && quotes.is_multiple_of(2) && apostrophes.is_multiple_of(2);
    is_closed && (is_ascii || value.chars().all(|c| c.is_ascii() || c.is_alphanumeric()))
}

/// Whether one of [`WORDS`] begins here, in whatever case.
fn begins_word(value: &str, at: usize) -> bool {
    let rest = value.as_bytes().get(at..).unwrap_or_default();
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    // Two letters tell most words apart.
    match rest {
        [b'u' | b'U', b'r' | b'R', ..]
        | [b'e' | b'E', b'x' | b'X', ..]
        | [b'i' | b'I', b'm' | b'M', ..]
        | [b's' | b'S', b'c' | b'C', ..]
        | [b'b' | b'B', b'e' | b'E' | b'i' | b'I', ..]
        | [b'f' | b'F', b'i' | b'I', ..] => WORDS.iter().any(|word| begins(word.as_bytes())),
        _ => false,
    }
}

/// Whether the parenthesis here belongs to one of [`FUNCTIONS`].
fn calls_function(value: &str, at: usize) -> bool {
    let before = value.get(..at).unwrap_or_default();
    let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default();
    FUNCTIONS.iter().any(|function| function.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_in_order() {
        assert!(PROPERTIES.is_sorted());
        assert!(PROPERTIES.iter().all(|property| property.len() <= MAX_PROPERTY));
        for word in WORDS {
            for value in [word.to_owned(), word.to_uppercase(), format!("xx{word}yy"), format!("\u{e9}{word}")] {
                assert!(!is_plain(&value), "{value}");
            }
        }
    }

    #[test]
    fn declarations_stay_or_go_by_property_and_value() {
        for (style, kept, removed) in [
            ("color:red", Some("color: red"), 0),
            ("COLOR : #FFF !important;;", Some("color: #FFF !important"), 0),
            (
                "font-family:'Helvetica Neue',Arial,sans-serif",
                Some("font-family: 'Helvetica Neue',Arial,sans-serif"),
                0,
            ),
            ("color:rgba(0, 0, 0, .5);width:calc(100%)", Some("color: rgba(0, 0, 0, .5)"), 1),
            ("background:url(http://x)", None, 1),
            ("background:URL('x')", None, 1),
            ("background-image:none", None, 1),
            ("background:image-set('a' 1x)", None, 1),
            ("width:expression(alert(1))", None, 1),
            ("width:e\\78pression(1)", None, 1),
            ("color:red/**/", None, 1),
            ("behavior:none;position:absolute;z-index:9", None, 3),
            ("margin:-9px;margin-top:1px", Some("margin-top: 1px"), 1),
            ("margin:0 auto;margin:0-5px;margin:1px -.5em;text-indent:-1px", Some("margin: 0 auto"), 3),
            ("letter-spacing:-300px;letter-spacing:1px;vertical-align:-9px", Some("letter-spacing: 1px"), 2),
            ("font-family:Lato-2;font:12px 'A -1'", Some("font-family: Lato-2; font: 12px 'A -1'"), 0),
            (
                "max-height:0;overflow:hidden;font-size:0;line-height:0",
                Some("max-height: 0; overflow: hidden; font-size: 0; line-height: 0"),
                0,
            ),
            ("overflow:url(x);text-align:-webkit-center", Some("text-align: -webkit-center"), 1),
            ("@import 'x'", None, 1),
            ("color:</style>", None, 1),
            ("color", None, 1),
        ] {
            let (found, count) = filter(style);
            assert_eq!((found.as_deref(), count), (kept, removed), "{style}");
            assert_eq!(found.as_deref().map(filter), found.clone().map(|style| (Some(style), 0)), "{style}");
        }
    }
}
