//! Vectors and properties of the whole sanitiser. The output is read again by `ammonia`'s parser and looked at
//! attribute by attribute.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::limits::Limits;
use super::vectors::{SCHEMES, STYLES, VECTORS};
use super::*;

fn clean(html: &str) -> String {
    clean_with(html, RemoteImages::Block)
}

fn clean_with(html: &str, remote_images: RemoteImages) -> String {
    sanitise(html, &Limits { remote_images, ..Limits::default() }).unwrap().html
}

/// Every tag and attribute of the output, found by another tokeniser than the one that made it.
fn assert_harmless(input: &str, output: &str) {
    let lower = output.to_lowercase();
    for (at, _) in lower.match_indices('<') {
        let tag = &lower[at + 1..];
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let known = elements::KEPT.iter().any(|(_, names)| names.contains(&name.as_str()));
        assert!(known, "{name} in {output:?} from {input:?}");
    }
    for document in [output.to_owned(), format!("<noscript>{output}"), format!("<svg><p>{output}")] {
        for (name, value) in attributes(&document) {
            assert!(!name.starts_with("on") && name != "srcset" && name != "id", "{name} from {input:?}");
            let stripped: String =
                value.chars().filter(|c| !c.is_whitespace() && !super::super::names::is_hidden(*c)).collect();
            let stripped = stripped.to_lowercase();
            if matches!(name.as_str(), "href" | "src" | "background" | "action" | "xlink:href" | "formaction") {
                let scheme = stripped.split_once(':').map(|(scheme, _)| scheme.to_owned()).unwrap_or_default();
                assert!(
                    ["http", "https", "mailto", "tel", "cid"].contains(&scheme.as_str()),
                    "{value:?} from {input:?}"
                );
            }
            if name == "style" {
                for bad in ["url", "expression", "import", "\\", "behavior", "position", "/*"] {
                    assert!(!stripped.contains(bad), "{value:?} from {input:?}");
                }
            }
        }
    }
}

/// The attributes of a document as `html5ever` reads it.
fn attributes(document: &str) -> Vec<(String, String)> {
    use std::cell::RefCell;
    use std::rc::Rc;
    thread_local! { static SEEN: Rc<RefCell<Vec<(String, String)>>> = Rc::default(); }
    SEEN.with(|seen| seen.borrow_mut().clear());
    let tags = elements::KEPT.iter().flat_map(|(_, names)| names.iter().copied());
    let mut spy = ammonia::Builder::empty();
    spy.tags(tags.chain(["script", "svg", "iframe", "style"]).collect())
        .generic_attribute_prefixes(('a'..='z').map(|c| &*Box::leak(c.to_string().into_boxed_str())).collect())
        .url_schemes(["http", "https", "mailto", "tel", "cid", "javascript", "data", "vbscript"].into())
        .url_relative(ammonia::UrlRelative::PassThrough)
        .clean_content_tags([].into())
        .link_rel(None)
        .attribute_filter(|_, name, value| {
            SEEN.with(|seen| seen.borrow_mut().push((name.to_owned(), value.to_owned())));
            Some(value.into())
        });
    let again = spy.clean(document).to_string().to_lowercase();
    assert!(!again.contains("<script") && !again.contains("<iframe") && !again.contains("<style"), "{document:?}");
    SEEN.with(|seen| seen.borrow().clone())
}

fn assert_good(html: &str) {
    for images in [RemoteImages::Block, RemoteImages::Keep] {
        let once = clean_with(html, images);
        assert_harmless(html, &once);
        assert_eq!(clean_with(&once, images), once, "not stable: {html:?}");
    }
}

#[test]
fn vectors_are_harmless_and_stable() {
    for vector in VECTORS {
        assert_good(vector);
    }
    for scheme in SCHEMES {
        for quote in ["\"", "'", ""] {
            assert_good(&format!("<a href={quote}{scheme}{quote}>x</a>"));
            assert_good(&format!("<img src={quote}{scheme}{quote} alt=y>"));
        }
    }
    for style in STYLES {
        assert_good(&format!("<p style=\"{style}\">x</p>"));
    }
    assert!(VECTORS.len() + SCHEMES.len() + STYLES.len() >= 200);
}

#[test]
fn pairs_of_vectors_are_harmless_and_stable() {
    for (index, first) in VECTORS.iter().enumerate() {
        for second in VECTORS.iter().skip(index % 7).step_by(7) {
            let html = format!("{first}{second}");
            let once = clean(&html);
            assert_harmless(&html, &once);
            assert_eq!(clean(&once), once, "not stable: {html:?}");
        }
    }
}

#[test]
fn a_newsletter_keeps_its_looks() {
    let html = concat!(
        "<!DOCTYPE html><html><head><title>t</title><style>p{color:red}</style></head><body bgcolor=\"#fff\">",
        "<!--[if mso]><table><tr><td><![endif]--><table width=\"600\" cellpadding=\"0\" align=\"center\"><tr>",
        "<td bgcolor=\"#eeeeee\" style=\"padding:10px;font-family:Arial,sans-serif;mso-x:1\" valign=\"top\">",
        "<a href=\"https://a.example/x?y=1&amp;z=2\" target=\"_blank\"><img src=\"https://a.example/logo.png\" alt=\"Logo\" width=\"80\"></a>",
        "<h1 style=\"color:#333\">Hi</h1><p>Text <font color=\"red\" size=\"2\">red</font><br>",
        "<img src=\"cid:pic@a\" alt=\"Pic\"></p></td></tr></table><!--[if mso]></td></tr></table><![endif]--></body></html>",
    );
    assert_eq!(
        clean(html),
        concat!(
            "<table width=\"600\" cellpadding=\"0\" align=\"center\"><tbody><tr>",
            "<td bgcolor=\"#eeeeee\" style=\"padding: 10px; font-family: Arial,sans-serif\" valign=\"top\">",
            "<a href=\"https://a.example/x?y=1&amp;z=2\" rel=\"noopener noreferrer nofollow\"><img width=\"80\" alt=\"Logo\"></a>",
            "<h1 style=\"color: #333\">Hi</h1><p>Text <font color=\"red\" size=\"2\">red</font><br>",
            "<img src=\"cid:pic@a\" alt=\"Pic\"></p></td></tr></tbody></table>",
        )
    );
    assert!(clean_with(html, RemoteImages::Keep).contains("src=\"https://a.example/logo.png\""));
}

#[test]
fn what_was_removed_is_counted_by_kind() {
    let html = "<script>x</script><iframe></iframe><p onclick=a onload=b style='color:red;position:fixed'>\
                <a href=javascript:x>y</a><a href=ftp://x>y</a><img src=http://x/1><img src=https://x/2>";
    let removed = sanitise(html, &Limits::default()).unwrap().removed;
    assert_eq!(removed, Removed { active: 2, handlers: 2, urls: 1, styles: 1, trackers: 2 });
    assert!(!sanitise("<style>x</style><p>y", &Limits::default()).unwrap().removed.is_active());
}

fn refused(html: &str) -> Option<HtmlRefused> {
    sanitise(html, &Limits::default()).err()
}

#[test]
fn quadratic_trees_are_refused_before_they_are_built() {
    for (open, times) in [
        ("<div>", 50_000),
        ("<ul><li>", 50_000),
        ("<b>", 50_000),
        ("<table><tr><td>", 50_000),
        ("<span>", 50_000),
        ("<blockquote>", 50_000),
        ("<b><table><td></b></td></table>", 30_000),
        ("<div><!--</div>-->", 50_000),
        ("<div><p title='</div>'>", 40_000),
        ("<div><style></div></style>", 30_000),
        ("<a href=tel:1><table><td>", 30_000),
    ] {
        assert_eq!(refused(&open.repeat(times)), Some(HtmlRefused::TooDeep), "{open}");
    }
    let deep_and_wide = format!("{}{}", "<div>".repeat(500), "<p>x".repeat(200_000));
    assert_eq!(refused(&deep_and_wide), Some(HtmlRefused::TooMuchWork));
    for text in ["&", "&#", "&nbsp;", "\u{a0}", "&x<!-- -->", "&<foo>"] {
        assert_eq!(refused(&text.repeat((1 << 20) / text.len())), Some(HtmlRefused::TooMuchWork), "{text}");
    }
    assert_eq!(refused(&"x".repeat((1 << 20) + 1)), Some(HtmlRefused::TooLong));
}

#[test]
fn wide_and_odd_markup_is_cleaned() {
    let mut attributes = String::new();
    (0..100_000).for_each(|n| write!(attributes, " a{n}").unwrap());
    for html in [
        format!("<p{attributes}>x</p>"),
        "<table>x<br>".repeat(100),
        "<font size=1><p>".repeat(20_000),
        format!("<table>{}", "<br>x".repeat(100_000)),
        format!("<table>{}", "<b>x</b>".repeat(100_000)),
        format!("<p>{}{}", (0..400).map(|n| format!("<font size={n}>")).collect::<String>(), "x</p><p>".repeat(10_000)),
        "<svg>".repeat(200_000),
        "<script".repeat(140_000),
        "<textarea>".repeat(100_000),
        "<a href='http://a'>x".repeat(40_000),
        "</p></div></b>".repeat(70_000),
        "<b><i></b></i>".repeat(70_000),
        "<i><b></i>".repeat(100_000),
        "<".repeat(1 << 14),
        "<a b='".repeat(170_000),
        "<!--".repeat(1 << 18),
        "<p><b>".repeat(170_000),
    ] {
        let once = clean(&html);
        if once.len() <= Limits::default().html {
            assert_eq!(clean(&once), once, "{}", &html[..20]);
        }
    }
}

fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<font color=red>",
        "</font>",
        "<a href=http://a>",
        "<a href=javascript:x>",
        "</a>",
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<table>",
        "</table>",
        "<tr>",
        "</tr>",
        "<td>",
        "</td>",
        "<th>",
        "<tbody>",
        "</tbody>",
        "<caption>",
        "</caption>",
        "<col>",
        "<colgroup>",
        "<ul>",
        "</ul>",
        "<li>",
        "</li>",
        "<dl>",
        "<dd>",
        "<dt>",
        "</dl>",
        "<h1>",
        "</h1>",
        "<h2>",
        "<pre>",
        "</pre>",
        "<span style='color:red;x:y'>",
        "</span>",
        "<br>",
        "<hr>",
        "<img src=cid:x>",
        "<img src=x onerror=y>",
        "\n",
        "\n\n",
        "x",
        " ",
        "&#10;",
        "&#13;",
        "\r",
        "&nbsp;",
        "&lt;",
        "<",
        ">",
        "\"",
        "'",
        "=",
        "<!--",
        "-->",
        "--!>",
        "<![CDATA[",
        "]]>",
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<svg>",
        "</svg>",
        "<math>",
        "<mtext>",
        "</math>",
        "<title>",
        "</title>",
        "<textarea>",
        "<select>",
        "<option>",
        "<template>",
        "<noscript>",
        "</noscript>",
        "<iframe>",
        "<form>",
        "<button>",
        "<center>",
        "</center>",
        "<blockquote>",
        "<a ",
        "href=",
        " onclick=x ",
        "/>",
        "</",
        "<p title=\"",
        "<object>",
        "<ruby>",
        "<nobr>",
        "&",
        ";",
        "\u{0}",
        "\u{2028}",
        "é",
    ];
    proptest::collection::vec(proptest::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_soup_is_harmless_and_stable(html in soup()) {
        assert_good(&html);
    }
}
