//! The tree of a mail's parts, containers included, as findings number them.

use mail_parser::{Message, MessagePart, PartId};

use super::model::{Node, Part};
use super::parts::{address, type_of};

/// Every part in document order. `parts` are the leaves that carry bytes.
pub(super) fn of(message: &Message<'_>, parts: &[Part]) -> Vec<Node> {
    let mut depths: Vec<usize> = Vec::with_capacity(message.parts().len());
    let mut leaves = parts.iter().enumerate().peekable();
    let node = |part: MessagePart<'_>| {
        let depth = holder(&part).and_then(|id| depths.get(id as usize)).map_or(0, |depth| depth + 1);
        depths.push(depth);
        let leaf = leaves.next_if(|(_, leaf)| leaf.address == address(message, &part)).map(|(index, _)| index);
        Node { depth, content_type: type_of(&part), part: leaf }
    };
    message.parts().map(node).collect()
}

/// What a part is in: a multipart, or the part that holds its message.
fn holder(part: &MessagePart<'_>) -> Option<PartId> {
    part.parent().or_else(|| part.message().container()).map(|holder| holder.id())
}
