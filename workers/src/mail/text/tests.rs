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
