//! Vectors and properties of the whole sanitiser. Its output is read by `html5ever` and looked at node by node.

use std::fmt::Write as _;
use std::time::Duration;

use ::url::Url;
use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

use super::super::limits::Limits;
use super::dom::{Context, parse};
use super::vectors::{SCHEMES, STYLES, VECTORS};
use super::*;

/// Limits that a slow build does not run into.
fn limits(remote_images: RemoteImages) -> Limits {
    Limits { remote_images, html_budget: Duration::from_secs(600), ..Limits::default() }
}

fn proxy() -> RemoteImages {
    RemoteImages::ProxyUrl(ProxyUrl::parse("https://proxy.example/?u={url}").unwrap())
}

/// Whether tests are to take their time.
pub(super) fn is_soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// Random cases: the same each time, or with SOAK=1 many more that are new each time.
pub(super) fn cases(count: u32) -> ProptestConfig {
    let (cases, rng_seed) =
        if is_soak() { (100 * count, RngSeed::Random) } else { (count, RngSeed::Fixed(0x6d61_696c)) };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

mod nasty;
pub(super) mod soup;
pub(super) mod worst;

fn clean(html: &str) -> String {
    clean_with(html, RemoteImages::Block)
}

fn clean_with(html: &str, remote_images: RemoteImages) -> String {
    sanitise(html, &limits(remote_images)).unwrap().html
}

/// Nothing in the output does anything, however it is read.
fn assert_harmless(input: &str, output: &str, images: &RemoteImages) {
    for context in [Context::Within("div"), Context::Within("body"), Context::Within("td"), Context::Page] {
        for scripting in [true, false] {
            let tree = parse(output, context, scripting);
            // Read and written again it is the same: nothing means one thing here and another there.
            assert_eq!(tree.inner_html(), output, "{context:?}, scripting {scripting}: {input:?}");
            tree.visit(&mut |name, is_html, attributes| {
                let known = elements::KEPT.iter().any(|(_, names)| names.contains(&name));
                assert!(known && is_html, "{name} in {output:?} from {input:?}");
                attributes.iter().for_each(|(name, value)| assert_harmless_attribute(name, value, input, images));
            });
        }
    }
}

fn assert_harmless_attribute(name: &str, value: &str, input: &str, images: &RemoteImages) {
    let of_some = attributes::SOME.iter().any(|(_, names)| names.contains(&name));
    assert!(name == "rel" || attributes::ANYWHERE.contains(&name) || of_some, "{name} from {input:?}");
    assert!(!name.starts_with("on"), "{name} from {input:?}");
    let stripped: String =
        value.chars().filter(|c| !c.is_whitespace() && !super::super::names::is_hidden(*c)).collect();
    let stripped = stripped.to_lowercase();
    let scheme = stripped.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    let allowed = match name {
        "href" => ["http", "https", "mailto", "tel"].contains(&scheme),
        "src" => match images {
            RemoteImages::Block => scheme == "cid",
            RemoteImages::Keep => ["http", "https", "cid"].contains(&scheme),
            RemoteImages::ProxyUrl(_) => scheme == "cid" || stripped.starts_with("https://proxy.example/?u=http"),
        },
        "style" => ["url", "expression", "import", "\\", "behavior", "position", "/*", "@"]
            .iter()
            .all(|bad| !stripped.contains(bad)),
        _ => true,
    };
    assert!(allowed, "{name}={value:?} from {input:?}");
    if matches!(name, "href" | "src") {
        // It leads to the same place whatever the page.
        for page in ["http://page.example/a/b", "https://page.example/a/b", "mailto:x"] {
            let on_page = Url::parse(page).unwrap().join(value);
            assert_eq!(on_page, Url::parse(value), "{value:?} on {page} from {input:?}");
        }
    }
}

fn assert_good(html: &str) {
    for images in [RemoteImages::Block, RemoteImages::Keep, proxy()] {
        let limits = limits(images.clone());
        let budget = Budget::start(limits.html_budget);
        let written = balance(&normalise(html, budget).unwrap(), &limits, budget).unwrap().html;
        assert_harmless(html, &written, &images);
        // Two ways to the same: a policy over a tree has nothing left to take out.
        assert_eq!(policy::apply(&written, images.clone(), budget).unwrap(), written, "two opinions: {html:?}");
        assert_eq!(clean_with(html, images.clone()), written, "{html:?}");
        assert_eq!(clean_with(&written, images), written, "not stable: {html:?}");
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
fn public_vectors_and_their_mutations_are_harmless_and_stable() {
    let (written, generated, wrapped) = (xss::written(), xss::generated(), xss::wrapped(5));
    assert!(written.len() > 350 && generated.len() > 1_500 && wrapped.len() > 1_500);
    // Every third of those that differ by a word alone.
    written.iter().chain(generated.iter().step_by(3)).chain(&wrapped).for_each(|case| assert_good(case));
}

#[test]
fn no_control_character_comes_out() {
    let controls: String = ('\0'..' ').chain(['\u{7f}']).collect();
    let written: String = (0..32).chain([127]).map(|n| format!("&#{n};&#x{n:x};")).collect();
    for controls in [&controls, &written, "\u{1b}$B\u{1b}(J", "\u{1b}<b>\u{1b}\n"] {
        for html in [
            format!("<pre>{controls}\n\nx{controls}"),
            format!("<p title=\"{controls}\">x<img src='cid:a{controls}b'>"),
        ] {
            assert_good(&html);
            assert!(!clean(&html).bytes().any(is_control), "{html:?}");
        }
    }
}

#[test]
fn pairs_of_vectors_are_harmless_and_stable() {
    for (index, first) in VECTORS.iter().enumerate() {
        for second in VECTORS.iter().skip(index % 7).step_by(7) {
            let html = format!("{first}{second}");
            let once = clean(&html);
            assert_harmless(&html, &once, &RemoteImages::Block);
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
            "<a href=\"https://a.example/x?y=1&amp;z=2\" rel=\"noopener noreferrer nofollow\"><img alt=\"Logo\" width=\"80\"></a>",
            "<h1 style=\"color: #333\">Hi</h1><p>Text <font color=\"red\" size=\"2\">red</font><br>",
            "<img src=\"cid:pic@a\" alt=\"Pic\"></p></td></tr></tbody></table>",
        )
    );
    assert!(clean_with(html, RemoteImages::Keep).contains("src=\"https://a.example/logo.png\""));
}

#[test]
fn what_was_removed_is_counted_by_kind() {
    let html = "<html><style>x</style><script>x</script><iframe></iframe><svg></svg><form><input></form><blink>\
                <p onclick=a onload=b style='color:red;position:fixed'><a href=javascript:x>y</a><a href=ftp://x>y</a>\
                <a href='#top'>y</a><img src=http://x/1><img src=//x/2><img src=data:,x>";
    let removed = sanitise(html, &limits(RemoteImages::Block)).unwrap().removed;
    let expected = Removed {
        scripts: 1,
        handlers: 2,
        embeds: 2,
        forms: 2,
        links: 2,
        relative: 1,
        remote_images: 2,
        own_images: 1,
        style_sheets: 1,
        styles: 1,
        attributes: 0,
        elements: 1,
    };
    assert_eq!(removed, expected);
    let harmless = sanitise("<style>x</style><p>y<a href='#x'>z</a>", &limits(RemoteImages::Block)).unwrap().removed;
    assert!(!harmless.is_active());
    assert_eq!(serde_json::to_string(&harmless).unwrap(), r#"{"relative":1,"style_sheets":1}"#);
}

#[test]
fn what_loads_is_counted_wherever_it_stands() {
    let (long, megabyte) = ("x".repeat(3_000), "x".repeat(90_000));
    let many: String = (0..65).map(|n| format!(" a{n}")).collect();
    for (html, expected) in [
        ("<body background=http://x/1><td background='&#104;ttps://x/2'>".to_owned(), r#"{"remote_images":2}"#),
        (
            "<picture><source srcset='//x/1 1x, //x/2 2x'><img src=http://x/3></picture>".to_owned(),
            r#"{"remote_images":2,"elements":2}"#,
        ),
        ("<img lowsrc=http://x/1 DYNSRC=http://x/2 srcset=''>".to_owned(), r#"{"remote_images":2}"#),
        ("<table background=javascript:x background=a.png>".to_owned(), r#"{"links":1,"relative":1}"#),
        ("<a href=http://x ping=http://y>z</a>".to_owned(), r#"{"links":1}"#),
        ("<meta charset=utf-7><meta http-equiv=\"&#82;efresh \" content='0;url=//x'>".to_owned(), r#"{"links":1}"#),
        ("<image src=http://x>".to_owned(), r#"{"remote_images":1}"#),
        ("<img src='data:image/png;base64,AA=='><td background=cid:a@b>".to_owned(), r#"{"own_images":2}"#),
        (format!("<img src=data:image/png;base64,{megabyte}>"), r#"{"own_images":1}"#),
        (format!("<img src=http://x/{megabyte}><img src=http://x/{long}{long}{long}>"), r#"{"remote_images":2}"#),
        (format!("<p title={long}><p title={megabyte}><p lang=x>"), r#"{"attributes":2}"#),
        (format!("<p{many}>"), r#"{"attributes":64}"#),
    ] {
        let removed = sanitise(&html, &limits(RemoteImages::Block)).unwrap().removed;
        assert_eq!(serde_json::to_string(&removed).unwrap(), expected, "{}", &html[..html.len().min(80)]);
        assert_eq!(removed.is_active(), removed.links > 0);
    }
    // A background does not stay even where images do.
    let kept = sanitise("<td background=http://x/1><img src=http://x/2>", &limits(RemoteImages::Keep)).unwrap();
    assert_eq!(kept.removed.remote_images, 1);
}

#[test]
fn remote_images_are_blocked_kept_or_proxied() {
    let html = "<img src='http://a.example/x.png?a=1&amp;b=2'><img src=cid:p%40a><img src=//b.example/y>";
    for (images, expected) in [
        (RemoteImages::Block, "<img><img src=\"cid:p@a\"><img>"),
        (RemoteImages::Keep, "<img src=\"http://a.example/x.png?a=1&amp;b=2\"><img src=\"cid:p@a\"><img>"),
        (
            proxy(),
            "<img src=\"https://proxy.example/?u=http%3A%2F%2Fa.example%2Fx.png%3Fa%3D1%26b%3D2\"><img src=\"cid:p@a\"><img>",
        ),
    ] {
        let sanitised = sanitise(html, &limits(images)).unwrap();
        assert_eq!(sanitised.html, expected);
        assert_eq!(sanitised.references, BTreeSet::from(["p@a".to_owned()]));
    }
}

fn refused(html: &str) -> Option<HtmlRefused> {
    sanitise(html, &limits(RemoteImages::Block)).err()
}

#[test]
fn deep_trees_are_refused_before_they_are_built() {
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
    assert_eq!(refused(&"x".repeat((1 << 20) + 1)), Some(HtmlRefused::TooLong));
    assert_eq!(refused(&"<br>".repeat(MAX_ELEMENTS + 1)), Some(HtmlRefused::TooMany));
    assert_eq!(refused(&"<br>".repeat(MAX_ELEMENTS)), None);
}

#[test]
fn nothing_is_read_when_the_budget_is_used_up() {
    let limits = Limits { html_budget: Duration::ZERO, ..Limits::default() };
    for html in ["<p>x</p>".repeat(1_000), "<script></script>x".to_owned(), "x".to_owned()] {
        assert_eq!(sanitise(&html, &limits).err(), Some(HtmlRefused::OverBudget));
    }
}

#[test]
fn wide_and_odd_markup_is_cleaned() {
    let mut attributes = String::new();
    (0..100_000).for_each(|n| write!(attributes, " a{n}").unwrap());
    for html in [
        format!("<p{attributes}>x</p>"),
        "<table>x<br>".repeat(100),
        "<font size=1><p>".repeat(2_000),
        format!("<table>{}", "<br>x".repeat(10_000)),
        format!("<table>{}", "<b>x</b>".repeat(10_000)),
        format!("<p>{}{}", (0..400).map(|n| format!("<font size={n}>")).collect::<String>(), "x</p><p>".repeat(1_000)),
        "<svg>".repeat(20_000),
        "<script".repeat(14_000),
        "<textarea>".repeat(10_000),
        "<a href='http://a'>x".repeat(4_000),
        "</p></div></b>".repeat(7_000),
        "<b><i></b></i>".repeat(7_000),
        "<i><b></i>".repeat(10_000),
        "<".repeat(1 << 14),
        "<a b='".repeat(17_000),
        "<!--".repeat(1 << 16),
        "<p><b>".repeat(17_000),
    ] {
        let once = clean(&html);
        assert_eq!(clean(&once), once, "{}", &html[..20]);
    }
}
