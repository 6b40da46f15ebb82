//! The elements that we allow, and what the others come to.

use std::sync::LazyLock;

use super::removed::Counts;

/// An element that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// How an element nests (HTML standard §13.2.6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Has no content: `br`.
    Void,
    /// Has no content, and ends a paragraph: `hr`.
    Rule,
    /// `a`: never within another.
    Link,
    /// `b`, `font`, `span` and the like.
    Inline,
    Paragraph,
    Heading,
    /// `li`.
    Item,
    /// `dd`, `dt`.
    Definition,
    /// `ul`, `ol`.
    List,
    /// `div` and the like.
    Block,
    Table,
    /// `tbody`, `thead`, `tfoot`.
    Section,
    Row,
    Cell,
    Caption,
    ColGroup,
    Col,
}

impl Kind {
    /// Whether an end tag of an element outside does not reach through it.
    pub(super) fn is_boundary(self) -> bool {
        matches!(self, Self::Table | Self::Cell | Self::Caption)
    }

    /// Whether an end tag of an inline element does not reach through it.
    pub(super) fn is_special(self) -> bool {
        !matches!(self, Self::Link | Self::Inline)
    }

    /// Whether it may hold nothing but parts of a table.
    pub(super) fn is_table_frame(self) -> bool {
        matches!(self, Self::Table | Self::Section | Self::Row | Self::ColGroup)
    }

    /// Whether it ends the paragraph that it stands in.
    pub(super) fn ends_paragraph(self) -> bool {
        use Kind::{Block, Definition, Heading, Item, List, Paragraph, Rule, Table};
        matches!(self, Rule | Paragraph | Heading | Item | Definition | List | Block | Table)
    }
}

/// What becomes of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep(Element),
    /// Its tags go, its content stays.
    Unwrap(Counts),
    /// It goes with its content; without an end tag, everything goes.
    Cut(Counts),
    /// It goes with its content; without an end tag, its start tag alone goes.
    CutClosed(Counts),
}

/// Every element that stays.
pub(super) const KEPT: [(Kind, &[&str]); 17] = [
    (Kind::Void, &["br", "img", "wbr"]),
    (Kind::Rule, &["hr"]),
    (Kind::Link, &["a"]),
    (
        Kind::Inline,
        &[
            "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd",
            "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
        ],
    ),
    (Kind::Paragraph, &["p"]),
    (Kind::Heading, &["h1", "h2", "h3", "h4", "h5", "h6"]),
    (Kind::Item, &["li"]),
    (Kind::Definition, &["dd", "dt"]),
    (Kind::List, &["ol", "ul"]),
    (
        Kind::Block,
        &[
            "address",
            "article",
            "aside",
            "blockquote",
            "center",
            "div",
            "dl",
            "figcaption",
            "figure",
            "footer",
            "header",
            "main",
            "nav",
            "pre",
            "section",
        ],
    ),
    (Kind::Table, &["table"]),
    (Kind::Section, &["tbody", "tfoot", "thead"]),
    (Kind::Row, &["tr"]),
    (Kind::Cell, &["td", "th"]),
    (Kind::Caption, &["caption"]),
    (Kind::ColGroup, &["colgroup"]),
    (Kind::Col, &["col"]),
];

/// What becomes of the element with this name (as written).
pub(super) fn fate(name: &str) -> Fate {
    let mut lower = [0; 16];
    let Some(lower) = lower.get_mut(..name.len()) else { return Fate::Unwrap(Counts::Other) };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    let lower = std::str::from_utf8(lower).unwrap_or_default();
    // As every HTML parser reads it (§13.2.6.4.7).
    let lower = if lower == "image" { "img" } else { lower };
    if let Some(element) = kept(lower) {
        return Fate::Keep(element);
    }
    match lower {
        "script" => Fate::Cut(Counts::Script),
        "iframe" => Fate::Cut(Counts::Embed),
        "style" => Fate::Cut(Counts::StyleSheet),
        "noembed" | "noframes" | "plaintext" => Fate::Cut(Counts::Other),
        "svg" | "math" | "template" => Fate::CutClosed(Counts::Embed),
        "select" | "textarea" => Fate::CutClosed(Counts::Form),
        "title" => Fate::CutClosed(Counts::Nothing),
        "xmp" => Fate::CutClosed(Counts::Other),
        "object" | "embed" | "applet" | "base" | "frame" | "frameset" | "audio" | "video" | "track" | "portal"
        | "marquee" | "fencedframe" | "layer" | "bgsound" => Fate::Unwrap(Counts::Embed),
        "form" | "input" | "button" | "keygen" | "isindex" | "dialog" | "option" | "optgroup" => {
            Fate::Unwrap(Counts::Form)
        }
        // In a `picture` it is one of several images; in anything else, that is what counts.
        "source" => Fate::Unwrap(Counts::Other),
        "link" => Fate::Unwrap(Counts::StyleSheet),
        "html" | "head" | "body" | "meta" => Fate::Unwrap(Counts::Nothing),
        _ => Fate::Unwrap(Counts::Other),
    }
}

/// [`KEPT`] by name.
static BY_NAME: LazyLock<Vec<Element>> = LazyLock::new(|| {
    let of_kind = |(kind, names): &(Kind, &[&'static str])| {
        let kind = *kind;
        names.iter().map(move |name| Element { name, kind }).collect::<Vec<_>>()
    };
    let mut elements: Vec<_> = KEPT.iter().flat_map(of_kind).collect();
    elements.sort_unstable_by_key(|element| element.name);
    elements
});

fn kept(lower: &str) -> Option<Element> {
    let found = BY_NAME.binary_search_by_key(&lower, |element| element.name).ok()?;
    BY_NAME.get(found).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_that_stays_is_found_whatever_its_case() {
        for (kind, names) in KEPT {
            for name in names {
                assert_eq!(fate(&name.to_uppercase()), Fate::Keep(Element { name, kind }));
            }
        }
        assert_eq!(fate("SCRIPT"), Fate::Cut(Counts::Script));
        assert_eq!(fate("o:p"), Fate::Unwrap(Counts::Other));
        assert_eq!(fate(&"x".repeat(10_000)), Fate::Unwrap(Counts::Other));
    }
}
