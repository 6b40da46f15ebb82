//! The shape of derived texts, and their bounds.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::super::limits::Limits;
use super::super::tests::{cases, is_soak, soup, worst};
use super::super::{balance::balance, budget::used, normalise, sanitise};
use super::*;

const LONG: Duration = Duration::from_secs(600);

fn shown(html: &str) -> String {
    let limits = Limits { html_budget: LONG, ..Limits::default() };
    let (text, is_whole) = text_of(&sanitise(html, &limits).unwrap().html, 1 << 20, LONG);
    assert!(is_whole);
    text
}

#[test]
fn text_keeps_the_shape_of_the_page() {
    for (html, text) in [
        ("<h1>Hi</h1><p>Some <b>bold</b>\n  and <a href=\"http://a\">link</a>.</p>x", "Hi\n\nSome bold and link.\n\nx"),
        ("<ul><li>one</li><li>two<ol><li>three</li></ol></li></ul>y", "* one\n* two\n  1. three\ny"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td><p>c</p></td><td>d</td></tr></table>", "a\tb\n\nc\n\nd"),
        ("<table><tr><td></td><td> a </td><td></td><td>b</td></tr></table>c", "a\tb\nc"),
        ("<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "a\tb\nc"),
        ("<div>a</div><div>b<br><br>c</div>", "a\nb\n\nc"),
        ("a<div></div>b<p></p>c<hr>d", "a\nb\n\n\nc\nd"),
        ("<ol>x<li>y</li><ol>z</ol></ol><ul><ul><li>w</ul></ul>", "1. x\n2. y\n3. 1. z\n* * w"),
        ("<pre>a  b\n\n c</pre>d", "a  b\n\n c\n\nd"),
        ("x&nbsp;&amp;&lt; y<br>&nbsp;z", "x &< y\n z"),
        ("<img alt=\"The &lt;logo&gt;\"><img alt=\"\"><img> x", "[The <logo>] x"),
        ("a<blockquote><p>b</p><p>c</p><blockquote>d</blockquote></blockquote>e", "a\n\n> b\n>\n> c\n>\n> > d\n\ne"),
        ("<p></p><div> </div>a", "a"),
        ("<dl><dt>a</dt><dd>b</dd></dl>", "a\nb"),
        ("a<p>&nbsp;</p><p>&nbsp;</p><p>&nbsp;</p>b<br><br><br><br><br>c", "a\n\n\nb\n\n\nc"),
        ("&lt;br&gt;&amp;lt; \u{7}\u{fdd0}x\u{c}y\u{85}", "<br>&lt; x y"),
        ("", ""),
    ] {
        assert_eq!(shown(html), text, "{html}");
    }
}

#[test]
fn no_line_is_wrapped() {
    let (words, word) = ("word ".repeat(1_000), "\u{8a00}".repeat(1_000));
    assert_eq!(shown(&format!("<p>{words}</p><ul><li>{word}</ul>")), format!("{}\n* {word}", words.trim_end()));
}

#[test]
fn a_long_page_comes_in_chunks_that_read_as_one() {
    let (mut html, mut expected) = (String::new(), Vec::new());
    for n in 1..=6_000 {
        write!(html, "<li>number {n}").unwrap();
        expected.push(format!("> {n}. number {n}"));
    }
    assert!(html.len() > 5 * CHUNK);
    let text = shown(&format!("<blockquote><ol>{html}"));
    // Numbers of a chunk are as wide as its widest.
    let lines = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    // Without an edge in sight.
    assert_eq!(shown(&"x".repeat(10 * CHUNK)).replace('\n', "").len(), 10 * CHUNK);
}

#[test]
fn a_chunk_ends_within_no_word_and_no_line() {
    let styled = format!("<p>{}</p>", "in<b>di</b>visible &amp; w\u{f6}rds ".repeat(3_000));
    let text = shown(&styled);
    assert_eq!(text.split_whitespace().filter(|word| *word == "indivisible").count(), 3_000);
    assert!(text.lines().count() <= styled.len() / CHUNK);
    let lines: String = (0..5_000).map(|n| format!("  line {n:05} of code\n")).collect();
    assert!(lines.len() > 5 * CHUNK);
    let shown = shown(&format!("<pre>{lines}</pre>"));
    let is_whole = |(n, line): (usize, &str)| line == format!("  line {n:05} of code");
    assert!(shown.lines().enumerate().all(is_whole), "{shown}");
    assert_eq!(shown.lines().count(), 5_000);
}

#[test]
fn text_is_bounded() {
    let html = format!("{}{}", "<blockquote>".repeat(500), "x<br>".repeat(100_000));
    let (text, is_whole) = text_of(&html, 10_000, LONG);
    assert!(text.len() < 10_000 + 40 * CHUNK && !is_whole, "{}", text.len());
    let (text, is_whole) = text_of(&html, 10_000, Duration::ZERO);
    assert!(text.is_empty() && !is_whole);
}

#[test]
fn what_nests_deeply_or_wide_is_converted() {
    for open in
        ["<div>", "<blockquote>", "<ul><li>", "<ol>", "<dl><dd>", "<table><tr><td>", "<pre>", "<h1><div>", "<ul>"]
    {
        let count = 500 / open.matches('<').count();
        let count = if open.contains("table") { count / 2 } else { count };
        let text = shown(&format!("{}x{}", open.repeat(count), "<p>y".repeat(5_000)));
        assert_eq!(text.matches('y').count(), 5_000, "{open}");
    }
    let wide = format!("<table><tr>{}", "<td colspan=1000000 rowspan=65535 width=99999999>x".repeat(10_000));
    assert_eq!(shown(&wide).matches('x').count(), 10_000);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_page_has_a_text_without_controls(html in soup::soup()) {
        let text = shown(&html);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t' || c == CELL));
    }
}

#[test]
fn the_text_of_any_megabyte_keeps_to_the_budget() {
    let limit = Duration::from_millis(250);
    let limits = Limits { html_budget: LONG, ..Limits::default() };
    let mut cases: Vec<_> = worst::worst_cases(1 << 20).collect();
    let step = if is_soak() { 1 } else { 5 };
    for (what, html) in cases.drain(..).step_by(step) {
        // What the policy would change is not at stake: it is nothing.
        let budget = Budget::unlimited();
        let Ok(written) = balance(&normalise(&html, budget).unwrap(), &limits, budget) else { continue };
        let before = used();
        let (_, is_whole) = text_of(&written.html, 1 << 20, limit);
        let took = used() - before;
        assert!(took < worst::noisy(limit), "{what}: {took:?}, whole: {is_whole}");
    }
}
