//! The one author of a mail, if every reader agrees on who that is (RFC 7489 §6.6.1).

use mail_parser::Headers;

use super::{Field, MAX_READ, bare, unfolded};
use crate::{auth::Domain, mail::mailboxes};

/// The author's domain. `None` for no or several `From`, no or several mailboxes, and for a field in which another
/// address stands than the one that is read: some reader shows that one.
pub(super) fn domain(fields: &[Field<'_>], headers: &Headers<'_>) -> Option<Domain> {
    let mut all = fields.iter().filter(|field| may_be_from(field.name));
    let (field, None) = (all.next()?, all.next()) else { return None };
    let header = headers.all("From").next()?;
    let written = mailboxes::of(&header);
    let mut addresses = written.iter().filter_map(|mailbox| mailbox.address.as_deref());
    let (address, None) = (addresses.next()?, addresses.next()) else { return None };
    let domain = Domain::of_address(address)?;
    let is_plain = |b: &u8| !b.is_ascii_control() || matches!(b, b'\r' | b'\n' | b'\t');
    let is_whole = field.value.len() <= MAX_READ;
    (is_whole && field.value.iter().all(is_plain) && is_alone(&unfolded(field.value), address, &domain))
        .then_some(domain)
}

/// Whether any reader could take a field of this name for `From`.
fn may_be_from(name: &str) -> bool {
    let ours = ['f', 'r', 'o', 'm'].into_iter();
    name.chars().filter(|c| !c.is_whitespace() && !c.is_control()).map(|c| c.to_ascii_lowercase()).eq(ours)
}

/// Whether no address but this one stands outside quotation marks and comments, and that one does.
fn is_alone(value: &str, address: &str, domain: &Domain) -> bool {
    let Some(bare) = bare(value) else { return false };
    let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | ':');
    let mut words = bare.split(is_end).filter(|word| word.contains('@')).peekable();
    // The local part may be quoted; then only "@domain" is left outside.
    let same = |word: &str| {
        word == address
            || word
                .rsplit_once('@')
                .is_some_and(|(local, rest)| !local.contains('@') && Domain::parse(rest).as_ref() == Some(domain))
    };
    words.peek().is_some() && words.all(same)
}
