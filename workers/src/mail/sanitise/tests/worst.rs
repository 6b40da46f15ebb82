//! The processor time of the worst that a megabyte can hold.

use super::*;

/// HTML of one megabyte, each a worst case of some step.
fn worst_cases() -> Vec<(String, String)> {
    let full = |piece: &str| piece.repeat((1 << 20) / piece.len());
    let mut cases: Vec<(String, String)> = [
        "&",
        "&#",
        "&nbsp;",
        "\u{a0}",
        "&x<!-- -->",
        "&<foo>",
        "<",
        "<p>x",
        "<b><i></b></i>",
        "<i><b></i>",
        "<p><b>",
        "<a href='http://a'>x",
        "</p></div></b>",
        "<table><td>x</table>",
        "<table>x<br>",
        "<br>",
        "<p style='color:red'>",
        "<p style='a:b;c:d;e:f;color:red'>",
        "<a href='http://a.example/?a=1&amp;b=2'>x</a>",
        "<img src=http://a/b>",
        "<img src=cid:x>",
        "<svg></svg>",
        "<style></style>",
        "<script></script>",
        "<p onclick=x>",
        "<p a b c d e f g>",
        "<p title='&amp;&amp;&amp;&amp;'>",
        "<!--",
        "<!-- -->",
        "<a b='",
        "&CounterClockwiseContourIntegral;",
        "\r",
        "é",
        "<h1><h2>",
        "<li><ul></ul>",
        "<td>",
        "<font color=red>x</font>",
        "<textarea>",
        "<template>",
        "<![CDATA[",
        "&amp;",
        "x&amp;x<br>",
        "<p>&#1114112;",
        "<a href='&#x2028;javascript:x'>",
        "<pre>\n&#13;",
    ]
    .iter()
    .map(|piece| ((*piece).to_owned(), full(piece)))
    .collect();
    let deep = |open: &str, piece: &str| format!("{}{}", open.repeat(500), full(piece).split_at(1 << 19).0);
    for (open, piece) in [
        ("<div>", "<p>x"),
        ("<div>", "<b></b>"),
        ("<span>", "</p>"),
        ("<font color=red>", "<p>x</p>"),
        ("<b>", "</i>"),
        ("<div>", "<a href=http://a>x<i></a>"),
        ("<span>", "<li>"),
        ("<table><td>", "<td>x"),
        ("<svg></svg><div>", "<b><p></b></p>"),
    ] {
        cases.push((format!("{open} then {piece}"), deep(open, piece)));
    }
    cases
}

#[test]
fn any_megabyte_is_sanitised_or_refused_within_the_budget() {
    let limits = Limits { html_budget: Duration::from_millis(250), ..Limits::default() };
    for (what, html) in worst_cases() {
        // Twice: what comes first is read anew by what makes the tree only when it looks suspect.
        for html in [html.clone(), format!("<script></script>{}", html.split_at(html.floor_char_boundary(1 << 19)).0)] {
            let before = budget::used();
            let result = sanitise(&html, &limits);
            let took = budget::used() - before;
            // What cannot be interrupted (taking the tree down, the last piece) has its share in what it builds on.
            assert!(took < 2 * limits.html_budget, "{what}: {took:?}, {:?}", result.err());
        }
    }
}
