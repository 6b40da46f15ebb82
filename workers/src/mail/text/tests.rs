//! Bodies and attachments of whole mails.

use std::time::Duration;

use super::super::facts::ImageSize;
use super::super::limits::Limits;
use super::super::model::{Disposition, FindingCode};
use super::super::parse::parse;

#[test]
fn html_over_its_budget_is_dropped_and_the_text_kept() {
    let raw = b"From: a@b.example\r\nContent-Type: text/html\r\n\r\n<p>Hello <b>there</b></p>\r\n";
    let limits = Limits { html_budget: Duration::ZERO, ..Limits::default() };
    let mail = parse(raw, &limits, &[]).unwrap();
    assert!(mail.findings.iter().any(|finding| finding.code == FindingCode::HtmlRefused));
    assert!(mail.html.is_none() && mail.text.unwrap().expose().contains("Hello"));
}

#[test]
fn a_reply_comes_without_what_it_answers_from_text_and_from_html() {
    let plain =
        "From: a@b.example\r\n\r\nYes.\r\n\r\nOn 24 Nov 2026, at 10:00, Ada <ada@a.example> wrote:\r\n> Shall I?\r\n";
    let html = "From: a@b.example\r\nContent-Type: text/html\r\n\r\n<div dir=\"ltr\">Yes.</div><br><div class=\"gmail_quote\">\
                <div>On Tue, Nov 24, 2026 at 10:00 AM Ada &lt;<a href=\"mailto:a@a\">a@a</a>&gt; wrote:<br></div>\
                <blockquote>Shall I?</blockquote></div>";
    let apple = "From: a@b.example\r\nContent-Type: text/html\r\n\r\n<body>Yes.<div><br>Sent from my iPhone</div><div><br>\
                 <blockquote type=\"cite\">On 24 Nov 2026, at 10:00, Ada &lt;a@a&gt; wrote:<br><br></blockquote></div>\
                 <blockquote type=\"cite\">Shall I?</blockquote></body>";
    for raw in [plain, html, apple] {
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        assert!(mail.text.unwrap().expose().contains("Shall I?"));
        assert_eq!(mail.reply.unwrap().expose(), "Yes.", "{raw}");
    }
    let all = parse(b"From: a@b.example\r\n\r\nYes.\r\n", &Limits::default(), &[]).unwrap();
    assert_eq!(all.reply, None);
}

/// HTML-only replies as mail programs write them, each around the same words.
const REPLIES: [(&str, &str); 9] = [
    (
        "Gmail, with a signature",
        "<div dir=\"ltr\"><div>Yes.</div><div><br></div><div>Second line.</div><div><br clear=\"all\"></div><span \
         class=\"gmail_signature_prefix\">-- </span><br><div class=\"gmail_signature\"><div>Bob</div></div></div><br><div \
         class=\"gmail_quote\"><div class=\"gmail_attr\">On Tue, Nov 24, 2026 at 10:00\u{202f}AM Ada &lt;<a \
         href=\"mailto:ada@a.example\">ada@a.example</a>&gt; wrote:<br></div><blockquote class=\"gmail_quote\" \
         style=\"margin:0 0 0 .8ex\"><div>Shall I? #urgent</div></blockquote></div>",
    ),
    (
        "Outlook on Windows",
        "<div class=\"WordSection1\"><p class=\"MsoNormal\">Yes.<o:p></o:p></p><p class=\"MsoNormal\"><o:p>&nbsp;</o:p></p>\
         <p class=\"MsoNormal\">Second line.</p><div><div style=\"border:none;border-top:solid #E1E1E1 1.0pt\"><p \
         class=\"MsoNormal\"><b>From:</b> Ada &lt;ada@a.example&gt; <br><b>Sent:</b> Tuesday, November 24, 2026 10:00 AM<br>\
         <b>To:</b> Bob &lt;b@b.example&gt;<br><b>Subject:</b> Question<o:p></o:p></p></div></div><p>Shall I? #urgent</p></div>",
    ),
    (
        "Outlook on the web",
        "<div class=\"elementToProof\">Yes.</div><div><br></div><div>Second line.</div><div id=\"appendonsend\"></div><hr \
         style=\"width:98%\"><div id=\"divRplyFwdMsg\" dir=\"ltr\"><font face=\"Calibri\"><b>From:</b> Ada &lt;ada@a.example&gt;<br>\
         <b>Sent:</b> Tuesday, November 24, 2026 10:00 AM<br><b>To:</b> Bob<br><b>Subject:</b> Question</font><div>&nbsp;</div>\
         </div><div>Shall I? #urgent</div>",
    ),
    (
        "Outlook in German",
        "<div><p>Yes.</p><p>Second line.</p><div><p><b>Von:</b> Ada &lt;ada@a.example&gt;<br><b>Gesendet:</b> Dienstag, 24. November \
         2026 10:00<br><b>An:</b> Bob<br><b>Betreff:</b> Frage</p></div><p>Shall I? #urgent</p></div>",
    ),
    (
        "Outlook in a table",
        "<table width=\"100%\"><tbody><tr><td>Yes.<br><br>Second line.</td></tr></tbody></table><p>-----Original Message-----<br>\
         From: Ada<br>Sent: today</p><p>Shall I? #urgent</p>",
    ),
    (
        "Apple Mail",
        "<div>Yes.</div><div><br></div>Second line.<br id=\"lineBreakAtBeginningOfMessage\"><div><br><blockquote type=\"cite\"><div>On 24 \
         Nov 2026, at 10:00, Ada &lt;ada@a.example&gt; wrote:</div><br class=\"Apple-interchange-newline\"><div><div>Shall I? \
         #urgent</div></div></blockquote></div>",
    ),
    (
        "iPhone",
        "<div dir=\"ltr\">Yes.</div><div dir=\"ltr\"><br></div><div>Second line.</div><div dir=\"ltr\"><br>Sent from my iPhone</div><div \
         dir=\"ltr\"><br><blockquote type=\"cite\">On 24 Nov 2026, at 10:00, Ada &lt;ada@a.example&gt; wrote:<br><br></blockquote></div>\
         <blockquote type=\"cite\"><div dir=\"ltr\">Shall I? #urgent</div></blockquote>",
    ),
    (
        "Thunderbird",
        "<p>Yes.</p><p>Second line.</p><div class=\"moz-cite-prefix\">Am 24.11.26 um 10:00 schrieb Ada:<br></div><blockquote \
         type=\"cite\"><p>Shall I? #urgent</p></blockquote><pre class=\"moz-signature\">-- \nBob</pre>",
    ),
    (
        "Yahoo",
        "<div class=\"yahoo-style-wrap\"><div>Yes.</div><div><br></div><div>Second line.</div></div><div><br></div><div \
         class=\"yahoo_quoted\"><div><div>On Tuesday, November 24, 2026 at 10:00:00 AM GMT+1, Ada &lt;ada@a.example&gt; wrote: \
         </div><div><br></div><div>Shall I? #urgent</div></div></div>",
    ),
];

#[test]
fn a_reply_is_told_from_what_it_answers_in_the_html_of_many_programs() {
    for (program, html) in REPLIES {
        let raw = format!("From: a@b.example\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}");
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let text = mail.text.unwrap();
        assert!(text.expose().contains("Shall I? #urgent"), "{program}: {text}", text = text.expose());
        let reply = mail.reply.unwrap_or_else(|| panic!("{program}: {}", text.expose()));
        let lines: Vec<_> = reply.expose().lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["Yes.", "Second line."], "{program}");
    }
}

/// What is markup in a charset other than the one it looks like is cleaned as what it is, and comes out in UTF-8.
#[test]
fn html_in_any_charset_comes_out_clean() {
    let plain = "<p>a</p><script>b</script><img src=x onerror=c>";
    let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        [mark, &plain.encode_utf16().flat_map(unit).collect::<Vec<_>>()].concat()
    };
    let utf7 = plain.replace('<', "+ADw-").replace('>', "+AD4-").into_bytes();
    for (charset, html) in [
        ("utf-7", utf7.clone()),
        ("utf-16", utf16(b"\xfe\xff", u16::to_be_bytes)),
        ("utf-16", utf16(b"\xff\xfe", u16::to_le_bytes)),
        ("utf-16", utf16(b"", u16::to_le_bytes)),
        ("utf-16be", utf16(b"", u16::to_be_bytes)),
        ("utf-8", [b"<meta charset=utf-7>", &utf7[..], plain.as_bytes()].concat()),
        ("utf-8", [b"\xef\xbb\xbf\xc0\xbc\xff", plain.as_bytes()].concat()),
        ("iso-2022-jp", [b"\x1b(J\x1b$B", plain.as_bytes(), b"\x1b(B", plain.as_bytes()].concat()),
        ("us-ascii", [b"\x1b$B<\x1b(Jscript>", plain.as_bytes()].concat()),
        ("hz-gb-2312", [b"~{", plain.as_bytes()].concat()),
        ("x-user-defined", [b"\xbc\x80", plain.as_bytes()].concat()),
        ("gb18030", [b"<a title=\"\x81\">", plain.as_bytes()].concat()),
        ("x-unknown", plain.as_bytes().to_vec()),
    ] {
        let head = format!("From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset={charset}\r\n");
        let encoded = html.iter().map(|byte| format!("={byte:02X}=\r\n")).collect::<String>();
        let raw = format!("{head}Content-Transfer-Encoding: quoted-printable\r\n\r\n{encoded}\r\n");
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let Some(html) = mail.html else { panic!("{charset}") };
        let html = html.expose();
        assert!(
            !html.contains("<script") && !html.contains("<img src") && !html.contains('\u{1b}'),
            "{charset}: {html}"
        );
        // HZ is not decoded on purpose: browsers do not either.
        assert!(
            charset == "hz-gb-2312" || html.contains("<p>a</p>") && mail.html_removed.scripts > 0,
            "{charset}: {html}"
        );
    }
}

#[test]
fn an_attachment_tells_what_it_is() {
    let gif = "R0lGODlhCgAUAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==";
    let raw = format!(
        "From: a@b.example\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
         <img src=\"cid:pic%40a\"><img src=\"http://t.example/x\"><script>x</script>\r\n\
         --x\r\nContent-Type: image/gif; name=\"../p\u{202e}ic.gif\"\r\nContent-ID: <pic@a>\r\nContent-Disposition: inline\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{gif}\r\n\
         --x\r\nContent-Type: text/calendar; method=REQUEST\r\nContent-Disposition: attachment; filename=a.ics\r\n\r\n\
         BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--x--\r\n"
    );
    let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
    assert_eq!((mail.html_removed.scripts, mail.html_removed.remote_images), (1, 1));
    let [_, image, event] = mail.parts.as_slice() else { panic!("{:?}", mail.parts) };
    assert_eq!(image.facts.image, Some(ImageSize { width: 10, height: 20 }));
    assert_eq!((image.is_shown, image.disposition), (true, Some(Disposition::Inline)));
    assert_eq!(image.name.as_ref().unwrap().expose(), ".._pic.gif");
    assert_eq!(image.raw_name.as_ref().unwrap().expose(), "../p\u{202e}ic.gif");
    assert_eq!((event.is_shown, event.disposition), (false, Some(Disposition::Attachment)));
    assert_eq!(
        (event.raw_name.as_ref(), event.facts.invitation.as_ref().unwrap().method.as_deref()),
        (None, Some("REQUEST"))
    );
}
