//! Mails of chosen parts, as a scenario writes them.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::mails::{Mail, base64_lines};

/// The header of every mail made here.
const HEAD: &str = "Date: Tue, 3 Nov 2026 09:00:00 +0000\r\nFrom: Ada <ada@sender.example>\r\n\
    To: desk@mail.example\r\nMIME-Version: 1.0\r\n";

/// A mail with a content of its own: header fields of the content, an empty line, the content.
#[must_use]
pub fn mail(name: &str, content: &[u8]) -> Mail {
    let head = format!("{HEAD}Message-ID: <{name}@sender.example>\r\nSubject: About {name}\r\n");
    Mail { name: name.into(), raw: [head.as_bytes(), content].concat(), marker: String::new() }
}

/// A content of several parts, each with its own header, between boundaries that stand in none of them.
///
/// # Panics
/// Never: there are more boundaries than parts.
#[must_use]
pub fn multipart(parts: &[Vec<u8>]) -> Vec<u8> {
    let stands_in =
        |part: &Vec<u8>, boundary: &str| part.windows(boundary.len()).any(|bytes| bytes == boundary.as_bytes());
    let is_free = |boundary: &String| !parts.iter().any(|part| stands_in(part, boundary));
    let boundary = (0..).map(|number| format!("=_part{number}_")).find(is_free).unwrap();
    let mut content = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n").into_bytes();
    for part in parts {
        content.extend([format!("--{boundary}\r\n").as_bytes(), part, b"\r\n"].concat());
    }
    content.extend(format!("--{boundary}--\r\n").into_bytes());
    content
}

/// A part with some text.
#[must_use]
pub fn text(text: &str) -> Vec<u8> {
    format!("Content-Type: text/plain\r\n\r\n{text}").into_bytes()
}

/// An attachment in base64.
#[must_use]
pub fn attachment(name: &str, content_type: &str, content: &[u8]) -> Vec<u8> {
    encoded(name, content_type, "base64", base64_lines(content).as_bytes())
}

/// An attachment whose content is encoded already.
#[must_use]
pub fn encoded(name: &str, content_type: &str, encoding: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "Content-Type: {content_type}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    [head.as_bytes(), content].concat()
}

/// Base64 with a byte in its middle that has no place there.
#[must_use]
pub fn stray_base64(content: &[u8]) -> Vec<u8> {
    let mut text = BASE64_STANDARD.encode(content).into_bytes();
    text.insert(text.len() / 2, b'!');
    text
}
