//! The answer of a parse on the wire: JSON, and behind it the long texts as they are.
//!
//! A text of a mail is full of what JSON escapes, and would be looked through byte by byte on both sides. Where the JSON
//! has an empty text, the text follows behind it: its length in bytes (64 bits, little-endian), then its bytes. The
//! reader takes nothing else.

use serde_json::Deserializer;
use shared::pii::Pii;

use crate::mail::model::ParsedMail;
use crate::mail::parse::Refusal;

type Answer = Result<ParsedMail, Refusal>;
type Text = Option<Pii<String>>;

/// Those texts, in their order.
fn texts(mail: &mut ParsedMail) -> [&mut Text; 3] {
    [&mut mail.text, &mut mail.reply, &mut mail.html]
}

/// Writes an answer.
pub(super) fn write(mut answer: Answer) -> serde_json::Result<Vec<u8>> {
    let taken = match &mut answer {
        Ok(mail) => texts(mail).map(|text| text.as_mut().map(std::mem::take)),
        Err(_) => Default::default(),
    };
    let taken = || taken.iter().flatten().map(Pii::expose);
    // Few answers have more than this beside their texts.
    let mut payload = Vec::with_capacity(taken().map(String::len).sum::<usize>() + 8 * 1024);
    serde_json::to_writer(&mut payload, &answer)?;
    for text in taken() {
        payload.extend_from_slice(&(text.len() as u64).to_le_bytes());
        payload.extend_from_slice(text.as_bytes());
    }
    Ok(payload)
}

/// Reads an answer. `None` where there is none in the bytes, or more than one.
pub(super) fn read(payload: &[u8]) -> Option<Answer> {
    let mut documents = Deserializer::from_slice(payload).into_iter::<Answer>();
    let mut answer = documents.next()?.ok()?;
    let mut rest = payload.get(documents.byte_offset()..)?;
    if let Ok(mail) = &mut answer {
        for text in texts(mail).into_iter().flatten() {
            if !text.expose().is_empty() {
                return None;
            }
            *text = Pii::new(next(&mut rest)?.to_owned());
        }
    }
    rest.is_empty().then_some(answer)
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (len, behind) = rest.split_first_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (text, behind) = behind.split_at_checked(len)?;
    *rest = behind;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use crate::mail::limits::Limits;
    use crate::mail::parse::{RefusalCode, parse};

    use super::*;

    const RAW: &str = "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=o\r\n\r\n\
                       --o\r\n\r\n\"Grüße\"\r\n\r\nOn Monday B wrote:\r\n> x\r\n--o\r\nContent-Type: text/html\r\n\r\n\
                       <p title=\"x\">a</p>\r\n--o--\r\n";

    fn honest() -> ParsedMail {
        parse(RAW.as_bytes(), &Limits::default(), &[]).unwrap()
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let mail = honest();
        assert!(mail.text.is_some() && mail.reply.is_some() && mail.html.is_some(), "{:?}", mail.findings);
        let none = ParsedMail { text: None, reply: None, html: None, ..mail.clone() };
        let empty = ParsedMail { html: Some(Pii::default()), ..none.clone() };
        let refusal = Refusal { code: RefusalCode::Empty, place: "mail".to_owned() };
        for answer in [Ok(mail), Ok(none), Ok(empty), Err(refusal)] {
            assert_eq!(read(&write(answer.clone()).unwrap()), Some(answer));
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let written = write(Ok(honest())).unwrap();
        for end in 0..written.len() {
            assert_eq!(read(&written[..end]), None, "{end}");
        }
        assert_eq!(read(&[&*written, b"\n"].concat()), None, "something behind the texts");
        assert_eq!(read(&serde_json::to_vec(&Answer::Ok(honest())).unwrap()), None, "texts in the JSON");
        let without = ParsedMail { text: None, reply: None, html: None, ..honest() };
        let json = serde_json::to_vec(&Answer::Ok(ParsedMail { html: Some(Pii::default()), ..without })).unwrap();
        let with = |len: u64, text: &[u8]| [&json[..], &len.to_le_bytes(), text].concat();
        assert!(read(&with(2, b"ab")).is_some());
        for (len, text) in [(u64::MAX, &b"ab"[..]), (3, b"ab"), (1, b"ab"), (2, b"a\xff")] {
            assert_eq!(read(&with(len, text)), None, "{len} {text:?}");
        }
    }
}
