//! The address fields of a mail, each read once for all who ask.

use mail_parser::{Header, Headers};

use super::mailboxes::{self, Mailboxes};
use super::unquoted;

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
    /// Whether the author's name holds a comma without quotation marks, and is joined in `boxes`.
    pub(crate) is_unquoted: bool,
}

impl<'m> AddressFields<'m> {
    /// Reads them.
    pub(crate) fn read(headers: &Headers<'m>) -> Self {
        let of = |(index, name)| {
            headers.all(name).map(move |header| {
                let boxes = mailboxes::of(&header);
                let joined = (index == 0).then(|| unquoted::author(&header, &boxes)).flatten();
                let is_unquoted = joined.is_some();
                let boxes = joined.map_or(boxes, |author| Mailboxes { list: vec![author], has_more: false });
                AddressField { name, header, boxes, is_sender: index < SENDERS, is_unquoted }
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
