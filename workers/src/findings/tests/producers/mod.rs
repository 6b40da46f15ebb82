//! Well-formed mails in the styles of the programs that most mail comes from, written from chance.

mod machines;
mod people;
mod pieces;

use rand::rngs::StdRng;

/// Writes one mail.
pub(super) type Producer = fn(&mut StdRng) -> Vec<u8>;

/// Every producer with its name.
pub(super) const PRODUCERS: [(&str, Producer); 26] = [
    ("plain text", people::plain),
    ("flowed text", people::flowed),
    ("webmail", people::webmail),
    ("groupware", people::groupware),
    ("phone", people::phone),
    ("newsletter", machines::newsletter),
    ("notification", machines::notification),
    ("script", machines::script),
    ("mailing list", machines::mailing_list),
    ("digest", machines::digest),
    ("bounce", machines::bounce),
    ("receipt", machines::receipt),
    ("invitation", machines::invitation),
    ("forwarded", people::forwarded),
    ("forwarded, encoded", people::forwarded_encoded),
    ("related images", people::related),
    ("attachments", people::attachments),
    ("scanner", machines::scanner),
    ("signed", people::signed),
    ("encrypted", people::encrypted),
    ("Japanese", people::japanese),
    ("Cyrillic", people::cyrillic),
    ("Western, 8 bit", people::western),
    ("internationalised", people::internationalised),
    ("from a file", people::from_a_file),
    ("hidden recipients", people::hidden_recipients),
];
