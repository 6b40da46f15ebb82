//! The processor time of the worst that a megabyte can hold.

use std::io::Read;

use super::*;

const MEGABYTE: usize = 1 << 20;

/// Repeated all along.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    // Text and references
    "&", "&#", "&#x", "&nbsp;", "\u{a0}", "\u{c2}", "&x<!-- -->", "&<foo>", "<", "</", "<!", "&amp;", "x&amp;x<br>",
    "&CounterClockwiseContourIntegral;", "&notit;", "<p>&#1114112;", "\r", "\0", "\n", " ", "é", "\u{10ffff}", "x", ">", "\"",
    // Comments, declarations, sections
    "<!--", "<!-- -->", "<!--->", "--!>", "<!-- --!", "<![CDATA[", "<![CDATA[]]>", "<?x?>", "<!doctype html>", "<!-- - -- ",
    // Elements to close, to reopen, to imply
    "<p>x", "<b><i></b></i>", "<i><b></i>", "<p><b>", "</p></div></b>", "<h1><h2>", "<li><ul></ul>", "<li>", "<dd><dt>",
    "<b><p></b>", "<b><div></b>", "<a href=http://a><div></a>", "<font color=red><p></font>", "<nobr>", "<a><b><p></a></b>",
    "<b>x</b>", "<i></i>", "<br>", "<hr>", "<wbr>", "<pre>\n&#13;", "<pre>\n\n", "<q>", "</q>", "<blockquote></blockquote>",
    // Tables and what does not belong there
    "<td>", "<table>", "</table>", "<table><td>x</table>", "<table>x<br>", "<table><b>x", "<table><tr><a href=http://a>x",
    "<table><img>", "<table></table>", "<tr>", "<table><caption>", "<table><col>", "<table><colgroup>x", "<table><td><td>",
    "<table><tbody></tbody>", "<table><tr><td></td></tr></table>",
    // Attributes
    "<p style='color:red'>", "<p style='a:b;c:d;e:f;color:red'>", "<p onclick=x>", "<p a b c d e f g>",
    "<p title='&amp;&amp;&amp;&amp;'>", "<a b='", "<a b=\"'", "<img src=http://a/b>", "<img src=cid:x>", "<img src=cid:%",
    "<a href='http://a'>x", "<a href='http://a.example/?a=1&amp;b=2'>x</a>", "<a href='&#x2028;javascript:x'>",
    "<a href=http://a></a>", "<a href=tel:1>", "<font color=red>x</font>", "<br title>", "<br title=a lang=b dir=c color=d>",
    "<img alt=a align=b border=c height=d hspace=e width=f title=g src=cid:h>", "<a href=http://xn--a>", "<a href=http://é>", "<img src=http://éä>", "<img src=http://xn--a>", "<img src='http://ab.é.ü.ö.ab.é.ü.ö.ab.é.ü.ö.ab.é.ü.ö'>", "<img src=http://1>",
    "<img src='http://ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé'>", "<img src=http://[::1]>", "<img src=http:a?é>",
    "<hr title=''>", "<td colspan=1 rowspan=1 nowrap>", "<br style=color:red>", "<br style='font-family:\"a\"'>",
    // What goes with its content
    "<svg></svg>", "<svg>", "<math><mi>", "<svg><p>", "<style></style>", "<style>", "<script></script>", "<script>", "<textarea>",
    "<template>", "<template></template>", "<select>", "<select><option>", "<title>", "<xmp>", "<iframe>", "<noembed></noembed>",
    "<plaintext", "<svg></svgx>", "<form><input>", "<object>", "<frameset>", "<foo>", "<o:p></o:p>", "<noscript>", "<x/>",
];
/// After 500 of something.
const DEEP: &[(&str, &str)] = &[
    ("<div>", "<p>x"),
    ("<div>", "<p></p>"),
    ("<div>", "<b></b>"),
    ("<div>", "</p>"),
    ("<div>", "<a href=http://a>x<i></a>"),
    ("<span>", "</p>"),
    ("<span>", "<li>"),
    ("<span>", "<li></li>"),
    ("<span>", "<a href=http://a></a>"),
    ("<span>", "<h1></h1>"),
    ("<span>", "<hr>"),
    ("<b>", "</i>"),
    ("<b>", "<b></b>"),
    ("<b>", "<p></p>"),
    ("<b>", "</b><b>"),
    ("<i><b>", "</i><i>"),
    ("<font color=red>", "<p>x</p>"),
    ("<font color=red>", "<font color=red></font>"),
    (
        WIDE,
        "<font align=a bgcolor=b border=c color=d dir=e face=f height=g lang=h size=i title=j valign=k width=l></font>",
    ),
    ("<ul>", "<li>"),
    ("<dl>", "<dd>"),
    ("<table><td>", "<td>x"),
    ("<blockquote>", "</blockquote><blockquote>"),
];
/// A formatting element whose likeness to the next one is costly to see.
const WIDE: &str =
    "<font align=a bgcolor=b border=c color=d dir=e face=f height=g lang=h size=i title=j valign=k width=m>";
/// One thing that is as long as all: before, repeated, behind.
const LONG: &[(&str, &str, &str)] = &[
    ("<p ", "a ", ">"),
    ("<p ", "a=b ", ">"),
    ("<p ", "onclick ", ">"),
    ("<p ", "title=a ", ">"),
    ("<p ", "/", ">"),
    ("<p ", " ", ">"),
    ("<p ", "=", ">"),
    ("<", "p", ">"),
    ("</", "p ", ">"),
    ("<p title='", "&", "'>"),
    ("<p title='", "&amp;", "'>"),
    ("<p style='", "color:red;", "'>"),
    ("<p style='", ";", "'>"),
    ("<p style='", "(", "'>"),
    ("<p style='color:", "a ", "'>"),
    ("<a href='", " ", "'>"),
    ("<a href='http://a/", "&amp;", "'>"),
    ("<a href='http://", "\u{200b}", "'>"),
    ("<a href='http://", "a.", "'>"),
    ("<img src='cid:", "%41", "'>"),
    ("<img src='cid:", "é", "'>"),
    ("<svg>", "<", ""),
    ("<svg>", "</", ""),
    ("<script>", "</scripty>", ""),
    ("<svg><math><template><select><textarea><title><xmp>", "</", ""),
    ("<!--", "--", ""),
    ("<!--", "--x", "-->"),
    ("<!--", "-", ">"),
    ("<?", "?", ">"),
    ("<p>&#", "0", "65;"),
    ("<pre>", "\n", "x"),
    ("<table>", " ", "x"),
];

/// HTML of this length, each a worst case of some step.
pub(in crate::mail::sanitise) fn worst_cases(len: usize) -> impl Iterator<Item = (String, String)> {
    let full = |piece: &str, len: usize| piece.repeat(len / piece.len());
    let pieces = PIECES.iter().map(move |piece| ((*piece).to_owned(), full(piece, len)));
    let deep = DEEP.iter().map(move |(open, piece)| {
        let deep = open.repeat(500 / open.matches('<').count());
        (format!("500 {open} then {piece}"), format!("{deep}{}", full(piece, len - deep.len())))
    });
    let long = LONG.iter().map(move |(before, piece, behind)| {
        let middle = full(piece, len - before.len() - behind.len());
        (format!("{before} {piece} {behind}"), format!("{before}{middle}{behind}"))
    });
    pieces.chain(deep).chain(long)
}

#[test]
fn any_megabyte_is_sanitised_or_refused_within_the_budget() {
    let limits = Limits { html_budget: Duration::from_millis(250), ..Limits::default() };
    for (what, mut html) in worst_cases(MEGABYTE).step_by(if is_soak() { 1 } else { 2 }) {
        loop {
            let before = budget::used();
            let result = sanitise(&html, &limits);
            let took = budget::used() - before;
            assert!(took < noisy(limits.html_budget), "{what}: {took:?}, {:?}", result.err());
            if result != Err(HtmlRefused::TooMany) {
                break;
            }
            // As much of it as is not too many elements.
            html.truncate(html.floor_char_boundary(html.len() / 4 * 3));
        }
    }
}

/// With room for a machine whose processor somebody else uses as well, which may count as ours; `SOAK=1` gives none.
pub(in crate::mail::sanitise) fn noisy(limit: Duration) -> Duration {
    if is_soak() { limit } else { limit * 3 / 2 }
}

/// Notes when the last of something was read.
struct Reader<'a>(&'a [u8], &'a mut Duration);

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        *self.1 = budget::used();
        self.0.read(buffer)
    }
}

#[test]
fn the_walk_through_a_tree_costs_no_more_than_is_kept_for_it() {
    let limits = limits(RemoteImages::Keep);
    // The filter looks at no attribute then, which it does only as long as there is budget.
    let spent = Budget::start(Duration::ZERO);
    for (what, html) in worst_cases(1 << 16).step_by(if is_soak() { 1 } else { 2 }) {
        let start = budget::used();
        let Ok(Balanced { html, .. }) = balance(&html, &limits, Budget::unlimited()) else { continue };
        let (written, mut read) = (budget::used(), Duration::ZERO);
        let document = policy::builder(RemoteImages::Keep, spent).clean_from_reader(Reader(html.as_bytes(), &mut read));
        drop(document);
        let (writing, reading, walking) = (written - start, read - written, budget::used() - read);
        let bound = writing + policy::WALK * reading + Duration::from_millis(2);
        assert!(walking < noisy(bound), "{what}: {writing:?} to write, {reading:?} to read, {walking:?} to walk");
    }
}
