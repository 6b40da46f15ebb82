//! The tree of a mail's parts, containers included, and the one numbering that people see: from 1, in document order.

use mail_parser::{Message, MessagePart};

use super::model::{Node, ParsedMail, Part};
use super::parts::{address, type_of};

/// Every part in document order. `parts` are the leaves that carry bytes.
pub(super) fn of(message: &Message<'_>, parts: &[Part]) -> Vec<Node> {
    let mut depths: Vec<usize> = Vec::with_capacity(message.parts().len());
    let mut leaves = parts.iter().enumerate().peekable();
    let node = |part: MessagePart<'_>| {
        let depth = holder(&part).and_then(|holder| depths.get(holder.id() as usize)).map_or(0, |depth| depth + 1);
        depths.push(depth);
        let leaf = leaves.next_if(|(_, leaf)| leaf.address == address(message, &part)).map(|(index, _)| index);
        Node { depth, content_type: type_of(&part), part: leaf }
    };
    message.parts().map(node).collect()
}

/// What a part is in: a multipart, or the part that holds its message.
pub(super) fn holder<'m>(part: &MessagePart<'m>) -> Option<MessagePart<'m>> {
    part.parent().or_else(|| part.message().container())
}

impl ParsedMail {
    /// The number of a part, by its position in [`ParsedMail::parts`], as findings, reports and payloads have it. What the
    /// tree does not list, such as the rest of a mail whose parts the parser stopped counting, follows after it.
    #[must_use]
    pub fn number(&self, part: usize) -> usize {
        let in_tree = self.structure.iter().position(|node| node.part == Some(part));
        in_tree.map_or_else(
            || {
                let listed = self.structure.iter().filter(|node| node.part.is_some_and(|other| other < part)).count();
                self.structure.len() + part.saturating_sub(listed) + 1
            },
            |index| index + 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::{limits::Limits, parse::parse};

    #[test]
    fn parts_are_numbered_as_findings_number_them() {
        let raw = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\ntext\r\n--o\r\n\
                   Content-Type: message/rfc822\r\n\r\nFrom: c@d.example\r\n\r\ninner\r\n--o\r\n\
                   Content-Type: application/pdf; name=a.exe\r\n\r\n%PDF\r\n--o--\r\n";
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        assert_eq!((0..mail.parts.len()).map(|part| mail.number(part)).collect::<Vec<_>>(), [2, 4, 5]);
        assert!(mail.findings.iter().any(|finding| finding.place == "part 5"), "{:?}", mail.findings);
        let few = Limits { parts: 3, ..Limits::default() };
        let mut cut = parse(raw.as_bytes(), &few, &[]).unwrap();
        let last = cut.parts.len() - 1;
        assert_eq!((cut.structure.len(), cut.number(last)), (3, 4), "{:?}", cut.structure);
        cut.structure.clear();
        assert_eq!(cut.number(last), last + 1);
    }
}
