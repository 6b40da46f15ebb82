//! Random markup by a generator that knows where readers of HTML disagree: quotes, namespaces, raw text, comments.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Elements with a way of their own to be read, and those that stay.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "a", "b", "i", "p", "div", "font", "span", "nobr", "table", "tbody", "tr", "td", "th", "caption", "colgroup", "col", "ul", "li", "dl",
    "dd", "h1", "h6", "pre", "br", "hr", "img", "image", "center", "blockquote", "address", "section", "q", "svg", "math", "mtext", "mi",
    "mglyph", "malignmark", "annotation-xml", "foreignObject", "desc", "title", "style", "script", "noscript", "noembed", "noframes",
    "iframe", "xmp", "plaintext", "textarea", "listing", "template", "select", "option", "optgroup", "button", "form", "input", "object",
    "applet", "marquee", "embed", "frameset", "frame", "body", "html", "head", "base", "link", "meta", "ruby", "rt", "rp", "details",
    "summary", "dialog", "menu", "x:script", "o:p", "selectedcontent", "animate", "set", "use", "video", "SCRIPT", "sVg", "P", "wbr",
];
#[rustfmt::skip]
const ATTRIBUTES: &[&str] = &[
    "href", "src", "style", "title", "alt", "onclick", "onerror", "id", "name", "class", "xlink:href", "srcset", "background", "encoding",
    "align", "color", "size", "type", "action", "HREF", "Style", "on", "=", "\"", "'", "`", "<", "x<y", "data-x", "\u{0}src", "s\u{0}rc",
    "width", "colspan", "lang", "is", "slot", "target", "rel",
];
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "x", "javascript:xss()", "java&Tab;script:xss()", "&#106avascript:x", "http://a.example/?a=1&amp;b=2&c", "https:a", "http:/a", "//a",
    "cid:a@b", "cid:%22%3e", "CID:&quot;x", "data:text/html,x", "mailto:a@b", "tel:1", "color:red", "color:red;position:fixed",
    "background:url(http://a)", "color:r\\65 d", "width:expression(x)", "font-family:'a&quot;", "color:red/**/", "@import 'x'",
    "</style><img src=x onerror=xss()>", "--><img src=x onerror=xss()>", "&lt;/title&gt;", "&gt;&lt;script&gt;", "]]>", "&#0;", "&#13;&#10;",
    "&quot", "&amp", "&ampx=", "&#x2028;", "\u{a0}&nbsp;", "text/html", "`onmouseover=x", "\u{feff}javascript:x", "é", "", "<b>", "a\nb",
    "http://[::1]/", "http://é.example/", "https://a@b.example:1/", "http://a/\u{200b}", "HTTP://A", "http://a\\b", "margin:-9px", "&\u{0}lt;",
];
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "x", " ", "\n", "\r", "\r\n", "\u{0}", "&", "&lt;", "&#60;", "&#x3c", "&ltx", "<", "</", "<!", "<?", "<!--", "<!-->", "<!--->",
    "-->", "--!>", "--!", "<![CDATA[", "]]>", "<!doctype html>", "<!doctype x SYSTEM '>'>", "<?xml ?>", "<%", "</>", "</ >", "</1>",
    ">", "\"", "'", "`", "=", "/", "\u{a0}", "&nbsp", "\u{2028}", "\u{c}", "é", "<1", "< b", "<\u{0}b", "<é", "&#13;", "{{x}}", "<a", "<a b='",
];

fn tag() -> impl Strategy<Value = String> {
    let attribute = (select(ATTRIBUTES), select(VALUES), 0..7_usize);
    let attributes = proptest::collection::vec(attribute, 0..4);
    (select(NAMES), attributes, 0..12_usize).prop_map(|(name, attributes, end)| {
        let mut tag = format!("<{name}");
        for (name, value, form) in attributes {
            let _ = match form {
                0 => write!(tag, " {name}={value}"),
                1 => write!(tag, " {name}='{value}'"),
                2 => write!(tag, "/{name}=\"{value}\""),
                3 => write!(tag, "\n{name} = \"{value}\""),
                4 => write!(tag, " {name}"),
                5 => write!(tag, "'{name}=`{value}`"),
                _ => write!(tag, "\t{name}=\"{value}\" {name}='{value}'"),
            };
        }
        tag + match end {
            0 => "/>",
            1 => " / >",
            2 => "",
            _ => ">",
        }
    })
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => tag(),
        3 => select(NAMES).prop_map(|name| format!("</{name}>")),
        1 => (select(NAMES), select(VALUES)).prop_map(|(name, value)| format!("</{name} x='{value}'>")),
        4 => select(TEXTS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

/// A few pieces, some of them again, with a few bytes lost.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(piece(), 0..24);
    (pieces, 1..3_usize, proptest::collection::vec(any::<prop::sample::Index>(), 0..3)).prop_map(
        |(pieces, times, lost)| {
            let mut chars: Vec<char> = pieces.concat().repeat(times).chars().collect();
            for index in lost {
                if !chars.is_empty() {
                    chars.remove(index.index(chars.len()));
                }
            }
            chars.into_iter().collect()
        },
    )
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn whatever_readers_disagree_on_is_harmless_and_stable(html in nasty()) {
        assert_good(&html);
    }
}
