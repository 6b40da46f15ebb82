//! The mailboxes of a field. `mail-parser` reads them as they are commonly written; what it cannot make addresses of is read
//! by the grammar, and an address is one only if it stands in the field.

use std::borrow::Cow;

use mail_parser::{Header, HeaderForm, Mailbox};

use super::addr_spec::{AddrSpec, canonical};
use super::address_list::{self, Entry};
use super::fields::MAX_MAILBOXES;

/// How many addresses that do not stand in a field are looked for: each costs a search of all that is left of it.
const MAX_MISSES: usize = 16;

/// A mailbox as it is written. What stands where an address should is kept, be it one or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written<'m> {
    pub(crate) name: Option<Cow<'m, str>>,
    pub(crate) address: Option<Cow<'m, str>>,
}

impl Written<'_> {
    /// Its address, if it is one: in the one form of [`AddrSpec`].
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_deref().filter(|text| AddrSpec::parse(text).is_some())
    }
}

/// The mailboxes of a field, those of groups too.
#[derive(Debug)]
pub(crate) struct Mailboxes<'m> {
    /// At most [`MAX_MAILBOXES`].
    pub(crate) list: Vec<Written<'m>>,
    /// Whether there are more, of which nothing is known.
    pub(crate) has_more: bool,
}

/// Reads them.
pub(crate) fn of<'m>(header: &Header<'m>) -> Mailboxes<'m> {
    let list = header.value().as_address();
    let mut all = list.into_iter().flat_map(|list| list.mailboxes());
    let common: Vec<Mailbox<'m>> = all.by_ref().take(MAX_MAILBOXES).collect();
    let has_more = all.next().is_some();
    let raw = String::from_utf8_lossy(header.raw_value());
    let (mut rest, mut misses) = (&*raw, 0);
    // Mailboxes come in the order of the field.
    let mut stands = |address: &str| match rest.find(address) {
        Some(at) => {
            rest = rest.get(at + address.len()..).unwrap_or_default();
            true
        }
        None => {
            misses += 1;
            // Nothing is left to be searched.
            rest = if misses < MAX_MISSES { rest } else { "" };
            false
        }
    };
    let written: Vec<(Mailbox<'m>, bool)> = common
        .into_iter()
        .map(|mailbox| {
            let address = mailbox.address().filter(|text| AddrSpec::parse(text).is_some());
            (mailbox, address.is_some_and(&mut stands))
        })
        .collect();
    if written.iter().any(|(_, stands)| !stands)
        && let Some(entries) = address_list::read(&raw)
    {
        let has_more = entries.len() > MAX_MAILBOXES;
        return Mailboxes { list: entries.into_iter().take(MAX_MAILBOXES).map(by_grammar).collect(), has_more };
    }
    Mailboxes { list: written.into_iter().map(|(mailbox, stands)| commonly(mailbox, stands)).collect(), has_more }
}

fn by_grammar(entry: Entry) -> Written<'static> {
    let decoded = |phrase: String| HeaderForm::Text.parse(phrase.as_bytes()).value().as_text().map(str::to_owned);
    Written { name: entry.phrase.and_then(decoded).map(Cow::Owned), address: Some(entry.address.to_string().into()) }
}

/// An address that does not stand in the field was put together of its pieces, and is none.
fn commonly<'m>(mailbox: Mailbox<'m>, stands: bool) -> Written<'m> {
    let address = mailbox.address().filter(|text| stands || AddrSpec::parse(text).is_none());
    Written { name: mailbox.name().map(Cow::Borrowed), address: address.map(canonical) }
}

#[cfg(test)]
mod tests;
