//! Vectors and properties of the whole sanitiser. The output is read again by `ammonia`'s parser and looked at
//! attribute by attribute.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::limits::Limits;
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

const SCHEMES: &[&str] = &[
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "\u{2028}javascript:alert(1)",
    "\u{2029}javascript:alert(1)",
    "\u{1}java\u{3}script:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "java\rscript:alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A;avascript:alert(1)",
    "java&Tab;script:alert(1)",
    "java&NewLine;script:alert(1)",
    "javascript&colon;alert(1)",
    "&#14; javascript:alert(1)",
    " javascript:alert(1)",
    "\u{feff}javascript:alert(1)",
    "java\u{200b}script:alert(1)",
    "java\u{ad}script:alert(1)",
    "\u{a0}javascript:alert(1)",
    "javascript\u{0}:alert(1)",
    "vbscript:msgbox(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "file:///etc/passwd",
    "ftp://x.example/",
    "blob:x",
    "about:blank",
    "view-source:http://x",
    "jar:http://x!/",
    "livescript:x",
    "mocha:x",
    "feed:javascript:alert(1)",
    "//x.example/a",
    "/a",
    "?a",
    "#a",
    "a:b",
    ":",
    "",
    "http:",
    "https:///",
    "http://[",
    "cid:",
    "mhtml:http://x",
    "intent://x",
    "ms-msdt:x",
    "search-ms:query",
    "x-javascript:1",
    "JAVA SCRIPT:alert(1)",
    "\\javascript:alert(1)",
];

const STYLES: &[&str] = &[
    "background:url(http://x.example/t.gif)",
    "background-image:url('http://x')",
    "list-style:url(x)",
    "width:expression(alert(1))",
    "width:exp/**/ression(alert(1))",
    "width:e\\78 pression(alert(1))",
    "background:u\\72l(http://x)",
    "@import 'http://x'",
    "behavior:url(#x)",
    "-moz-binding:url(http://x#y)",
    "background:image-set('http://x' 1x)",
    "position:fixed;top:0",
    "position:absolute",
    "content:'x'",
    "cursor:url(x)",
    "filter:progid:x",
    "color:red;}</style><script>",
    "color:&quot;",
    "--x:1",
    "background:-webkit-image-set(url(x))",
    "color:var(--x)",
    "width:attr(x)",
    "color:rgb(",
    "font-family:'",
    "background:URL(x)",
    "background:\u{ff55}rl(x)",
    "color:\u{0}red",
    "margin-left:-9999px",
    "text-indent:-9999px",
    "animation:x",
    "transition:all",
    "z-index:999999",
    "src:url(x)",
    "background:cross-fade(x)",
    "color:red<!--",
    "opacity:0",
];

const VECTORS: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//x></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/src=x>",
    "<script\n>alert(1)</script\t\n bar>",
    "<<script>alert(1)//<</script>",
    "<script>alert(1)",
    "<script><!--<script></script>alert(1)</script>-->",
    "<img src=x onerror=alert(1)>",
    "<img/onerror=alert(1) src=x>",
    "<img src=x:x onerror=alert(1)//",
    "<img src='x'onerror='alert(1)'>",
    "<img src=`x`onerror=alert(1)>",
    "<IMG \"\"\"><SCRIPT>alert(1)</SCRIPT>\">",
    "<img src=x oNeRrOr=alert(1)>",
    "<img src=x on\nerror=alert(1)>",
    "<body onload=alert(1)>",
    "<body background=javascript:alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script>alert(1)",
    "<svg><a xlink:href=javascript:alert(1)>x</a></svg>",
    "<svg><animate attributeName=href values=javascript:alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style>",
    "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">",
    "<svg><p><style><g title=\"</style><img src=x onerror=alert(1)>\">",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
    "<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">",
    "<math href=javascript:alert(1)>x</math>",
    "<math><annotation-xml encoding=text/html><script>alert(1)</script>",
    "<math><mtext><mglyph><svg><mtext><style><path id=\"</style><img onerror=alert(1) src>\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<iframe><a title=\"</iframe><img src onerror=alert(1)>\">",
    "<object data=javascript:alert(1)>x</object>",
    "<object type=text/html data=x><param name=a value=b></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x>y</applet>",
    "<base href=//x>",
    "<link rel=stylesheet href=//x>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import 'http://x';</style>",
    "<style>body{background:url(x)}",
    "<style><!--</style><script>alert(1)</script>-->",
    "<style><a title=\"</style><img src=x onerror=alert(1)>\">",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<noembed><img title=\"</noembed><img src onerror=alert(1)>\"></noembed>",
    "<noframes><p title=\"</noframes><img src onerror=alert(1)>\"></noframes>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp>",
    "<title><p title=\"</title><img src onerror=alert(1)>\"></title>",
    "<textarea><p title=\"</textarea><img src onerror=alert(1)>\">",
    "<plaintext><img src=x onerror=alert(1)>",
    "<template><img src=x onerror=alert(1)></template>",
    "<select><option><script>alert(1)</script></select>",
    "<select><style><img src=x onerror=alert(1)></style></select>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input type=image src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<isindex action=javascript:alert(1)>",
    "<video src=x onerror=alert(1)><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<bgsound src=javascript:alert(1)>",
    "<layer src=x>",
    "<frameset onload=alert(1)><frame src=javascript:alert(1)>",
    "<table background=javascript:alert(1)><td background=x>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=\"http://a.example\" ping=//x onclick=alert(1)>x</a>",
    "<a href=' http://a.example '>x</a>",
    "<a href='http://a.example/?a=1&b=2'>x</a>",
    "<a href=\"https://a.example/'><script>\">x</a>",
    "<a href=mailto:a@b.example?subject=x>x</a>",
    "<a href=tel:+123>x</a>",
    "<a href=http://a.example rel=opener target=_blank>x</a>",
    "<a name=x href='http://a'><div>y<a href='http://b'>z</a></div></a>",
    "<a href='http://a'><p>x<a href='http://b'>y</p>z</a>",
    "<area href=javascript:alert(1)>",
    "<map name=x><area href=//x></map>",
    "<img src=http://x.example/t.gif width=1 height=1>",
    "<img src=cid:a@b alt=x>",
    "<img src=data:image/png;base64,AA==>",
    "<img srcset='//x 1x'>",
    "<img src=\"http://x\" lowsrc=javascript:alert(1) dynsrc=x usemap=#x longdesc=x>",
    "<img src=x style=\"x:expression(alert(1))\">",
    "<picture><source srcset=//x><img src=//x></picture>",
    "<p style=\"background:url(//x)\">x</p>",
    "<font style=color:red color=red>x</font>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<!--><script>alert(1)</script>-->",
    "<!--!><img src=x onerror=alert(1)>-->",
    "<!--a--!><img src=x onerror=alert(1)>-->",
    "<!-- --!<img src=x onerror=alert(1)> -->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>",
    "<?xml version=1?><?import namespace=x?><p>x",
    "<!DOCTYPE x [<!ENTITY y 'z'>]>x",
    "<%<!--'%><script>alert(1);</script -->",
    "</<script>alert(1)</script>",
    "</><img src=x onerror=alert(1)>",
    "<a/><b/><img/src=x/onerror=alert(1)>",
    "<x onclick=alert(1)>y</x>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "<o:p>&nbsp;</o:p>",
    "<v:rect href=x>y</v:rect>",
    "<p title='</p><script>alert(1)</script>'>x</p>",
    "<p title=\"`><img src=x onerror=alert(1)>\">",
    "<p title='&lt;img src=x onerror=alert(1)&gt;'>x",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;script&amp;gt;",
    "<<svg></svg>script>alert(1)</script>",
    "<<!-- -->img src=x onerror=alert(1)>",
    "<<style></style>img src=x onerror=alert(1)>",
    "&<style></style>lt;b>",
    "<im<script></script>g src=x onerror=alert(1)>",
    "a < b > c <= d",
    "<pre>\n\nx</pre>",
    "<pre>&#10;&#xa;\n&NewLine;x</pre>",
    "<pre><!-- -->\n<foo>\n\nx</pre>",
    "<pre>&#13;\nx</pre>",
    "<pre>\r\r\nx</pre>",
    "<b><pre></b>\n\nx</pre>",
    "<pre title='a&#13;b'>x&#13;y</pre>",
    "x\ry\r\nz",
    "a\0b<i\0>c",
    "<p>x<p>y</p></p>z",
    "</p></p>x</br>",
    "</b></i>x",
    "<b><i>x</b>y</i>z",
    "<b><div>x</b>y</div>z",
    "<b><p><i><div>x</b>y</i></div>z",
    "<font color=red><table><tr></font><td>x</table>y",
    "<table><b>x<tr>y<td>z</b></table>w",
    "<table>x<tr><p>y<td>z</table>",
    "<table><tr><tr><td><td>x</table>",
    "<table><td><table><td>x</table>",
    "<table><table><tr><td>x</table></table>",
    "<table><caption>a<td>b<caption>c</table>",
    "<table><col><colgroup><col>x<td>y</table>",
    "<table><a href='http://a'>x<tr><td><a href='http://b'>y</table>",
    "<tr><td>x</td></tr>",
    "<td><table></td>x</table>",
    "<table><form><td><input>x</form></table>",
    "<table><td><b><td>x</b></table>",
    "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
    "<li>a<div><li>b</div>",
    "<dl><dt>a<dd>b<dt>c</dl>",
    "<h1>a<h2>b</h1>c</h2>",
    "<h1><div><h2>x</h1>y",
    "<div><span></div>x</span>",
    "<span><div></span>x</div>",
    "<p><table><td>x</p>y</table>z</p>",
    "<center><p>x</center>y</p>",
    "<select><a href='http://a'>x</select>y",
    "<ruby>a<rt>b</ruby>",
    "<button><p>x</button>y</p>",
    "<nobr>a<nobr>b</nobr>",
    "<body><html><head>x</head></html></body>",
    "<div a a=1 a=2 style=color:red style=color:blue>x</div>",
    "<div ====>x</div>",
    "<div/style=color:red/title=x>y</div>",
    "<hr><p>x<hr>y",
];

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
        ("<i><b></i>", 50_000),
        ("<div><!--</div>-->", 50_000),
        ("<div><p title='</div>'>", 40_000),
        ("<div><style></div></style>", 30_000),
        ("<a href=tel:1><table><td>", 30_000),
    ] {
        assert_eq!(refused(&open.repeat(times)), Some(HtmlRefused::TooDeep), "{open}");
    }
    let deep_and_wide = format!("{}{}", "<div>".repeat(500), "<p>x".repeat(200_000));
    assert_eq!(refused(&deep_and_wide), Some(HtmlRefused::TooMuchWork));
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
        "<".repeat(1 << 20),
        "&#".repeat(1 << 19),
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
