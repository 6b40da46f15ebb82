//! A mail in an inspection's JSON: its parts carry the numbers that findings, scan items and payloads call them by.

use serde::{Serialize, Serializer, ser::Error};
use serde_json::{Value, to_value};

use crate::mail::model::ParsedMail;

/// Writes a mail. The parts and the nodes of their tree have `part`, from 1; positions in lists stay inside.
pub(super) fn mail<S: Serializer>(mail: &Option<Box<ParsedMail>>, serializer: S) -> Result<S::Ok, S::Error> {
    mail.as_deref().map(shown).transpose().map_err(S::Error::custom)?.serialize(serializer)
}

fn shown(mail: &ParsedMail) -> Result<Value, serde_json::Error> {
    let mut shown = to_value(mail)?;
    number(&mut shown, "structure", |index| index + 1);
    number(&mut shown, "parts", |index| mail.number(index));
    Ok(shown)
}

fn number(mail: &mut Value, list: &str, number: impl Fn(usize) -> usize) {
    let entries = mail.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
    for (index, entry) in entries.enumerate().filter_map(|(index, entry)| Some((index, entry.as_object_mut()?))) {
        entry.insert("part".to_owned(), number(index).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{limits::Limits, parse::parse};

    #[test]
    fn every_part_has_one_number() {
        let raw = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\ntext\r\n--o\r\n\
                   Content-Type: application/pdf; name=a.exe\r\n\r\n%PDF\r\n--o--\r\n";
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let shown = shown(&mail).unwrap();
        let numbers = |list: &str| -> Vec<Value> {
            shown[list].as_array().unwrap().iter().map(|entry| entry["part"].clone()).collect()
        };
        assert_eq!(
            (numbers("structure"), numbers("parts")),
            (vec![1.into(), 2.into(), 3.into()], vec![2.into(), 3.into()])
        );
        assert_eq!(shown["parts"][1]["name"], "a.exe");
        assert!(mail.findings.iter().any(|finding| finding.place == "part 3"), "{:?}", mail.findings);
    }
}
