//! For every code, a mail that raises it and one that comes close. The match is exhaustive: a new code needs both.

use crate::mail::model::FindingCode;

/// A mail with its envelope.
pub(super) struct Example {
    pub(super) raw: Vec<u8>,
    pub(super) from: Option<&'static str>,
    pub(super) to: Vec<&'static str>,
}

impl Example {
    fn bytes(raw: impl Into<Vec<u8>>) -> Self {
        Self { raw: raw.into(), from: Some("ann@a.example"), to: vec!["box@desk.example"] }
    }

    fn sent_by(self, from: &'static str) -> Self {
        Self { from: Some(from), ..self }
    }

    fn sent_to(self, to: &[&'static str]) -> Self {
        Self { to: to.to_vec(), ..self }
    }
}

const HEAD: &str =
    "From: Ann <ann@a.example>\nTo: box@desk.example\nSubject: Hi\nDate: Tue, 24 Nov 2026 10:00:00 +0100\n";

/// An ordinary mail but for the rest of its header, and its body.
fn mail(rest: &str) -> Example {
    Example::bytes(format!("{HEAD}{rest}").replace('\n', "\r\n"))
}

/// An ordinary mail with one of its fields replaced.
fn with(field: &str, value: &str) -> Example {
    let mut lines: Vec<String> = HEAD.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().find(|line| line.starts_with(&format!("{field}:"))).unwrap();
    *line = value.to_owned();
    lines.retain(|line| !line.is_empty());
    Example::bytes(format!("{}\r\n\r\nhello\r\n", lines.join("\r\n")))
}

fn from(value: &str) -> Example {
    with("From", &format!("From: {value}"))
}

fn subject(value: &str) -> Example {
    with("Subject", &format!("Subject: {value}"))
}

pub(super) fn parts(parts: &[&str]) -> Example {
    let parts: String = parts.iter().map(|part| format!("--b1\n{part}\n")).collect();
    mail(&format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n\n{parts}--b1--\n"))
}

pub(super) fn attachment(disposition: &str) -> String {
    format!("Content-Type: text/plain\nContent-Disposition: attachment; {disposition}\n\nx")
}

fn html(body: &str) -> Example {
    mail(&format!("Content-Type: text/html; charset=utf-8\n\n{body}\n"))
}

/// Replaces text in a mail by bytes that a text cannot hold.
fn replaced(example: Example, text: &str, bytes: &[u8]) -> Example {
    let at = example.raw.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let raw = [&example.raw[..at], bytes, &example.raw[at + text.len()..]].concat();
    Example { raw, ..example }
}

fn nested(depth: usize) -> Example {
    mail(&format!("{}\nx", "Content-Type: message/rfc822\n\nA: b\n".repeat(depth)))
}

/// What raises the code, and what does not.
#[rustfmt::skip]
pub(super) fn examples(code: FindingCode) -> (Example, Example) {
    match code {
        FindingCode::RepeatedHeader => (mail("Subject: Other\n\nx"), mail("Received: a\nReceived: b\n\nx")),
        FindingCode::FromMissing => (with("From", ""), from("ann@a.example")),
        FindingCode::FromMultiple => (from("a@a.example, b@a.example"), from("\"a, b\" <a@a.example>")),
        FindingCode::AddressUnreadable => (with("To", "To: nobody in particular"), with("To", "To: undisclosed-recipients:;")),
        FindingCode::NameUnquoted => (from("Lee, Ann <ann@a.example>"), from("\"Lee, Ann\" <ann@a.example>")),
        FindingCode::NameShowsAddress => (from("\"ceo@c.example\" <ann@a.example>"), from("\"ann@a.example\" <ann@mail.a.example>")),
        FindingCode::DateMissing => (with("Date", ""), mail("\nx")),
        FindingCode::DateUnreadable => (with("Date", "Date: yesterday"), with("Date", "Date: 24 Nov 2026 10:00 GMT")),
        FindingCode::HeadersMissing => (Example::bytes("\r\nhello\r\n"), mail("\n")),
        FindingCode::HeadersExceeded => (mail(&format!("{}\nx", "X-Many: a\n".repeat(600))), mail(&format!("{}\nx", "X-Many: a\n".repeat(400)))),
        FindingCode::FieldNameDamaged => (mail("X-Old : a\n\nx"), mail("X-Old_1.2: a\n\nx")),
        FindingCode::DepthExceeded => (nested(80), nested(10)),
        FindingCode::PartsExceeded => (parts(&vec!["\nx"; 1_100]), parts(&vec!["\nx"; 900])),
        FindingCode::BoundaryDamaged => (
            mail("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n"),
            mail("Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\nx\n--b--\nepilogue\n"),
        ),
        FindingCode::PartHeadersDamaged => (parts(&["Content-Type: text/plain\nno field\n\nx"]), parts(&["Content-Type: text/plain;\n charset=utf-8\n\nno field"])),
        FindingCode::NulInHeaders => (mail("X-A: b\0c\n\nx"), mail("X-A: b\n\nx\0y")),
        FindingCode::NulInBody => (mail("\nx\0y\n"), mail("Content-Transfer-Encoding: base64\n\nAAAA\n")),
        FindingCode::BareCrInHeaders => (mail("X-A: b\rc\n\nx"), mail("X-A: b\n c\n\nx")),
        FindingCode::BareCrInBody => (mail("\nx\ry\n"), mail("Content-Transfer-Encoding: quoted-printable\n\nx=0Dy\n")),
        FindingCode::BareLfInHeaders => (replaced(mail("X-A: b\n\nx"), "Hi\r\n", b"Hi\n"), Example::bytes(format!("{HEAD}\nx\n"))),
        FindingCode::BareLfInBody => (replaced(mail("\nx\ny\n"), "x\r\n", b"x\n"), Example::bytes(format!("{HEAD}\nx\ny\n"))),
        FindingCode::EightBitInHeaders => (replaced(subject("@@"), "@@", b"Gr\xfc\xdfe"), subject("Gr\u{fc}\u{df}e")),
        FindingCode::Utf8InHeaders => (subject("Gr\u{fc}\u{df}e"), subject("=?utf-8?q?Gr=C3=BC=C3=9Fe?=")),
        FindingCode::EightBitInBody => (mail("Content-Transfer-Encoding: 7bit\n\ngr\u{fc}\u{df}e\n"), mail("Content-Transfer-Encoding: 8bit\n\ngr\u{fc}\u{df}e\n")),
        FindingCode::LineTooLong => (mail(&format!("\n{}\n", "x".repeat(999))), mail(&format!("\n{}\n", "x".repeat(998)))),
        FindingCode::ContentTypeUnreadable => (mail("Content-Type: text\n\nx"), mail("Content-Type: TEXT/x-other ; a=b\n\nx")),
        FindingCode::DispositionUnreadable => (
            parts(&["Content-Type: text/plain\nContent-Disposition: =?utf-8?q?attachment=3B_filename=3Da.txt?=\n\nx"]),
            parts(&["Content-Type: text/plain\nContent-Disposition:\n ATTACHMENT ; filename=\"=?utf-8?q?a.txt?=\"\n\nx"]),
        ),
        FindingCode::MessagePartial => (mail("Content-Type: Message/Partial; id=a; number=1; total=2\n\nx"), mail("Content-Type: message/rfc822\n\nSubject: partial\n\nx")),
        FindingCode::ExternalBody => (parts(&["Content-Type: message/external-body; access-type=URL; URL=\"http://a.example\"\n\nContent-Type: text/plain\n\n"]), parts(&["Content-Type: message/delivery-status\n\nx: y\n"])),
        FindingCode::CharsetDamaged => (replaced(mail("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n@@\n"), "@@", b"gr\xfc\xdfe"), replaced(mail("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n@@\n"), "@@", b"gr\xfc\xdfe")),
        FindingCode::EncodingConflict => (mail("Content-Transfer-Encoding: base65\n\nx"), mail("Content-Transfer-Encoding: Base64 \n\neA==\n")),
        FindingCode::FileInText => (mail("\nbegin 644 a.pdf\n#35J0\n`\nend\n"), mail("\nbegin with these\n> begin 644 a.pdf\n")),
        FindingCode::EncodingDamaged => (mail("Content-Transfer-Encoding: base64\n\neHh4!eHh4\n"), mail("Content-Transfer-Encoding: base64\n\neHh4\neHh4\n")),
        FindingCode::ParameterConflict => (mail("Content-Type: text/plain; charset=utf-8; charset=us-ascii\n\nx"), mail("Content-Type: text/plain; charset=utf-8; x=\"; charset=y\"\n\nx")),
        FindingCode::NameConflict => (
            parts(&["Content-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment; filename=a.exe\n\nx"]),
            parts(&["Content-Type: application/pdf; name=\"=?utf-8?q?gr=C3=BCn.pdf?=\"\nContent-Disposition: attachment; filename*=utf-8''GR%C3%9CN.pdf\n\nx"]),
        ),
        FindingCode::DuplicateNames => (
            parts(&[&attachment("filename=a.txt"), &attachment("filename=A.txt")]),
            parts(&[&attachment("filename=a.txt"), &attachment("filename=b.txt"), "Content-Type: message/rfc822\n\nSubject: c\nContent-Disposition: attachment; filename=a.txt\n\nx"]),
        ),
        FindingCode::DuplicateContentIds => (
            parts(&["Content-Type: image/png\nContent-ID: <a@b>\n\nx", "Content-Type: image/png\nContent-ID: <a@b>\n\ny"]),
            parts(&["Content-Type: image/png\nContent-ID: <a@b>\n\nx", "Content-Type: image/png\nContent-ID: <A@b>\n\ny", "Content-Type: message/rfc822\n\nContent-ID: <a@b>\n\nz"]),
        ),
        FindingCode::HtmlRefused => (html(&"<div>".repeat(5_000)), html(&"<div>x</div>".repeat(5_000))),
        FindingCode::ActiveContentRemoved => (html("<p>a<script>b()</script></p>"), html("<p>a &lt;script&gt;b()</p>")),
        FindingCode::ControlCharacters => (subject("=?utf-8?q?a=1B[31mb?="), subject("=?utf-8?q?a_=F0=9F=91=A9=E2=80=8D=F0=9F=92=BB?=")),
        FindingCode::BidiCharacters => (parts(&[&attachment("filename*=utf-8''a%E2%80%AEfdp.exe")]), parts(&[&attachment("filename*=utf-8''%D7%A9%D7%9C%D7%95%D7%9D%E2%80%8F.pdf")])),
        FindingCode::MixedScripts => (from("\"P\u{430}yPal\" <ann@a.example>"), from("\"\u{418}\u{432}\u{430}\u{43d} Smith\" <ann@a.example>")),
        FindingCode::MixedScriptDomain => (from("ann@p\u{430}ypal.test"), from("ann@\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.test")),
        FindingCode::TextTruncated => (mail(&format!("\n{}", "some words\n".repeat(110_000))), mail(&format!("\n{}", "some words\n".repeat(50_000)))),
        FindingCode::ExecutableAttachment => (parts(&[&attachment("filename=setup.EXE")]), parts(&[&attachment("filename=exe.txt")])),
        FindingCode::ScriptAttachment => (parts(&[&attachment("filename=a.js")]), parts(&[&attachment("filename=a.js.txt")])),
        FindingCode::SourceAttachment => (parts(&[&attachment("filename=a.py")]), parts(&[&attachment("filename=a.js")])),
        FindingCode::ShortcutAttachment => (parts(&[&attachment("filename=a.lnk")]), parts(&[&attachment("filename=lnk")])),
        FindingCode::MacroAttachment => (parts(&[&attachment("filename=a.docm")]), parts(&[&attachment("filename=a.docx")])),
        FindingCode::DiskImageAttachment => (parts(&[&attachment("filename=a.iso")]), parts(&[&attachment("filename=iso.txt")])),
        FindingCode::HtmlAttachment => (parts(&[&attachment("filename=a.html")]), mail("Content-Type: text/html\n\n<p>x</p>\n")),
        FindingCode::TypeMismatch => (parts(&[&attachment("filename=a.pdf")]), parts(&["Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\n%PDF-1.7"])),
        FindingCode::DoubleExtension => (parts(&[&attachment("filename=a.pdf.exe")]), parts(&[&attachment("filename=a.v2.exe")])),
        FindingCode::HiddenExtension => (parts(&[&attachment("filename=a.pdf; filename*=utf-8''a.exe")]), parts(&[&attachment("filename=a.exe; filename*=utf-8''b.exe")])),
        FindingCode::LookalikeDomain => (from("ann@cl\u{435}rk.desk.example.evil.test"), from("ann@desks.example")),
        FindingCode::KnownSenderUnverified => (from("ann@bank.example"), from("ann@other.example")),
        FindingCode::BlockedSender => (mail("\nx").sent_by("Eve+1@bad.example"), mail("\nx").sent_by("adam@bad.example")),
        FindingCode::UnknownRecipient => (mail("\nx").sent_to(&["box@elsewhere.example"]), mail("\nx").sent_to(&["box@elsewhere.example", "box@desk.example"])),
        FindingCode::RecipientLeftOut => (mail("\nx").sent_to(&["box@elsewhere.example", "box@desk.example"]), mail("\nx").sent_to(&["box@desk.example", "Other+tag@DESK.example"])),
    }
}
