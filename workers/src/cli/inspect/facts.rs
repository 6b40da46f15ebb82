//! What is known of attachments and inline parts, and what was taken out of the HTML, in words.

use shared::pii::Pii;

use super::tree::size;
use crate::{
    cli::terminal::quoted,
    mail::{
        facts::{Facts, Invitation, When},
        hex32,
        model::{Disposition, ParsedMail, Part, PartRole},
        sanitise::Removed,
    },
};

/// A line for every part that is no body, and below it one for each fact.
pub(super) fn attachments(mail: &ParsedMail) -> Vec<String> {
    let parts = mail.parts.iter().enumerate().filter(|(_, part)| part.role != PartRole::Body);
    parts.flat_map(|(index, part)| std::iter::once(title(mail.number(index), part)).chain(of_part(part))).collect()
}

fn title(number: usize, part: &Part) -> String {
    let name = part.name.as_ref().map_or_else(|| "without a name".to_owned(), |name| quoted(name.expose()));
    let disposition = match part.disposition {
        Some(Disposition::Inline) => ", inline",
        Some(Disposition::Attachment) => ", attachment",
        None => "",
    };
    format!("{number:>3}  {name}, {}{disposition}", size(part.content.len))
}

fn of_part(part: &Part) -> Vec<String> {
    let Facts { image, invitation } = &part.facts;
    let exposed = |text: &Option<Pii<String>>| text.as_ref().map(|text| text.expose().clone());
    let detected = match part.detected_type.as_deref() {
        Some(detected) if detected == part.content_type => detected.to_owned(),
        Some(detected) => format!("declared {}, detected {detected}", part.content_type),
        None => format!("declared {}, not detected", part.content_type),
    };
    let shown = if part.is_shown { ", shown in the HTML" } else { "" };
    let mut facts = vec![
        ("type", Some(detected)),
        ("written as", exposed(&part.raw_name).map(|name| quoted(&name))),
        ("content id", exposed(&part.content_id).map(|id| format!("{id}{shown}"))),
        ("image", image.map(|size| format!("{} × {} pixels", size.width, size.height))),
        ("sha256", Some(hex32::encode(&part.content.sha256))),
    ];
    facts.extend(invitation.iter().flat_map(|invitation| of_invitation(invitation)));
    let line = |(name, value): (&str, Option<String>)| value.map(|value| format!("     {name:<12}{value}"));
    facts.into_iter().filter_map(line).collect()
}

fn of_invitation(invitation: &Invitation) -> Vec<(&'static str, Option<String>)> {
    let Invitation { method, uid, sequence, summary, location, organizer, attendees, start, end, recurs } = invitation;
    let exposed = |text: &Option<Pii<String>>| text.as_ref().map(|text| text.expose().clone());
    let time = |when: &When| format!("{} {}", when.at, exposed(&when.zone).unwrap_or_default()).trim_end().to_owned();
    let change = sequence.map(|sequence| format!(", change {sequence}")).unwrap_or_default();
    let when = [start.as_ref().map(time), end.as_ref().map(|end| format!("to {}", time(end)))];
    let mut when: Vec<String> = when.into_iter().flatten().collect();
    when.extend(recurs.then(|| "and again".to_owned()));
    let first: Vec<&str> = attendees.addresses.iter().take(3).map(|address| address.expose().as_str()).collect();
    let more = if attendees.count as usize > first.len() { ", …" } else { "" };
    vec![
        ("invitation", Some(format!("{}{change}", method.as_deref().unwrap_or("without a method")))),
        ("  about", exposed(summary)),
        ("  when", (!when.is_empty()).then(|| when.join(" "))),
        ("  where", exposed(location)),
        ("  by", exposed(organizer)),
        ("  invited", Some(format!("{} {}{more}", attendees.count, first.join(", ")).trim_end().to_owned())),
        ("  uid", exposed(uid)),
    ]
}

/// What was taken out of the HTML, by kind; `None` where nothing was.
pub(super) fn removed(removed: &Removed) -> Option<String> {
    let kinds = removed.kinds().into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = kinds.map(|(kind, count)| format!("{} {count}", kind.replace('_', " "))).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{limits::Limits, parse::parse};

    #[test]
    fn facts_and_removals_are_told_in_words() {
        let raw = "From: a@b.example\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n\
             <img src=cid:p@a><script>x</script><img src=http://t.example/1><img src=http://t.example/2>\r\n--x\r\n\
             Content-Type: image/png; name=\"a/b.png\"\r\nContent-ID: <p@a>\r\nContent-Disposition: inline\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n\
             R0lGODlhCgAUAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==\r\n--x\r\nContent-Type: text/calendar\r\n\r\n\
             BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch\r\nDTSTART:20261105T110000Z\r\n\
             SEQUENCE:2\r\nRRULE:FREQ=DAILY\r\nORGANIZER:mailto:ada@a.example\r\nATTENDEE:mailto:b@a.example\r\n\
             END:VEVENT\r\nEND:VCALENDAR\r\n--x--\r\n";
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let told: Vec<String> = attachments(&mail).into_iter().filter(|line| !line.contains("sha256")).collect();
        let expected = [
            "  3  \"a_b.png\", 43 bytes, inline",
            "     type        declared image/png, detected image/gif",
            "     written as  \"a/b.png\"",
            "     content id  p@a, shown in the HTML",
            "     image       10 × 20 pixels",
            "  4  without a name, 204 bytes",
            "     type        text/calendar",
            "     invitation  REQUEST, change 2",
            "       about     Lunch",
            "       when      2026-11-05T11:00:00 UTC and again",
            "       by        ada@a.example",
            "       invited   1 b@a.example",
        ];
        assert_eq!(told, expected);
        assert_eq!(removed(&mail.html_removed).as_deref(), Some("scripts 1, remote images 2"));
        assert_eq!(removed(&Removed::default()), None);
    }
}
