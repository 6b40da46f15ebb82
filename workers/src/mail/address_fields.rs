//! The address fields of a mail, each read once for all who ask.

use mail_parser::{Header, Headers};

use super::mailboxes::{self, Mailboxes};

/// Fields that hold addresses; the first three say who a mail is from.
const FIELDS: [&str; 6] = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"];
const SENDERS: usize = 3;

/// Every one of them, in the order of [`FIELDS`] and among those of one name of the mail.
pub(crate) struct AddressFields<'m>(Vec<AddressField<'m>>);

/// One.
pub(crate) struct AddressField<'m> {
    pub(crate) name: &'static str,
    pub(crate) header: Header<'m>,
    pub(crate) boxes: Mailboxes<'m>,
    /// Whether it says who a mail is from.
    pub(crate) is_sender: bool,
}

impl<'m> AddressFields<'m> {
    /// Reads them.
    pub(crate) fn read(headers: &Headers<'m>) -> Self {
        let of = |(index, name)| {
            headers.all(name).map(move |header| AddressField {
                name,
                header,
                boxes: mailboxes::of(&header),
                is_sender: index < SENDERS,
            })
        };
        Self(FIELDS.into_iter().enumerate().flat_map(of).collect())
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &AddressField<'m>> {
        self.0.iter()
    }

    /// Those of a name, in its usual spelling.
    pub(crate) fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = &AddressField<'m>> {
        self.0.iter().filter(move |field| field.name == name)
    }
}
