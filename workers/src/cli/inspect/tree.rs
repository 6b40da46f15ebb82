//! The tree of a mail's parts, drawn.

use crate::{
    cli::terminal::quoted,
    mail::model::{Node, ParsedMail, Part, PartRole},
};

/// A line for every part: its number, its type under what holds it, and what is known of a leaf.
pub(super) fn lines(mail: &ParsedMail) -> Vec<String> {
    let drawn: Vec<String> = (0..mail.structure.len()).map(|index| branch(&mail.structure, index)).collect();
    let width = drawn.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let line = |(index, (node, drawn)): (usize, (&Node, &String))| {
        let holds = mail.structure.get(index + 1).is_some_and(|next| next.depth > node.depth);
        let empty = || if holds { String::new() } else { "empty".to_owned() };
        let part = node.part.and_then(|part| mail.parts.get(part)).map_or_else(empty, leaf);
        format!("{:>3}  {drawn:<width$}  {part}", index + 1).trim_end().to_owned()
    };
    let mut lines: Vec<String> = mail.structure.iter().zip(&drawn).enumerate().map(line).collect();
    let listed = mail.structure.iter().filter(|node| node.part.is_some()).count();
    let beyond = mail.parts.iter().enumerate().skip(listed);
    lines.extend(beyond.map(|(at, part)| {
        format!("{:>3}  {:<width$}  {}", mail.number(at), "what was not taken apart", leaf(part)).trim_end().to_owned()
    }));
    lines
}

/// The type with the branches that lead to it.
fn branch(nodes: &[Node], index: usize) -> String {
    let Some(node) = nodes.get(index) else { return String::new() };
    // Whether another part at this depth follows before what holds it ends.
    let goes_on = |depth: usize| {
        let after = nodes.iter().skip(index + 1).take_while(|later| later.depth >= depth);
        after.into_iter().any(|later| later.depth == depth)
    };
    let outer = (1..node.depth).map(|depth| if goes_on(depth) { "│ " } else { "  " });
    let own = (node.depth > 0).then(|| if goes_on(node.depth) { "├ " } else { "└ " });
    outer.chain(own).chain([node.content_type.as_str()]).collect()
}

fn leaf(part: &Part) -> String {
    let role = match part.role {
        PartRole::Body => "body",
        PartRole::Inline => "inline",
        PartRole::Attachment => "attachment",
    };
    let name = part.name.as_ref().map(|name| format!("  {}", quoted(name.expose()))).unwrap_or_default();
    format!("{role:<10}  {:>10}{name}", size(part.content.len))
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
    let of = |unit: u64| bytes as f64 / unit as f64;
    match bytes {
        1 => "1 byte".to_owned(),
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} KB", of(1_000)),
        _ => format!("{:.1} MB", of(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{limits::Limits, parse::parse};

    #[test]
    fn every_part_stands_under_what_holds_it() {
        let raw = "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
                   Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\r\ntext\r\n--i\r\n\
                   Content-Type: text/html\r\n\r\n<p>html\r\n--i--\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n\
                   From: c@d.example\r\n\r\ninner\r\n--o\r\nContent-Type: application/pdf\r\n\
                   Content-Disposition: attachment; filename=a.pdf\r\n\r\n%PDF\r\n--o\r\nContent-Type: image/png\r\n\r\n\r\n--o--\r\n";
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let expected = [
            "  1  multipart/mixed",
            "  2  ├ multipart/alternative",
            "  3  │ ├ text/plain           body           4 bytes",
            "  4  │ └ text/html            body           7 bytes",
            "  5  ├ message/rfc822",
            "  6  │ └ text/plain           attachment     5 bytes",
            "  7  ├ application/pdf        attachment     4 bytes  \"a.pdf\"",
            "  8  └ image/png              empty",
        ];
        assert_eq!(lines(&mail), expected);
    }
}
