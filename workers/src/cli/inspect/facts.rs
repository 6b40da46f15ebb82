//! What was read in a part, and what was taken out of the HTML, in a few words.

use crate::mail::{
    facts::{Facts, Invitation, When},
    model::Part,
    sanitise::Removed,
};

/// What is known of a part beyond its name and size, beginning with two spaces; nothing where nothing is.
pub(super) fn of_part(part: &Part) -> String {
    let Facts { image, invitation } = &part.facts;
    let shown = part.is_shown.then(|| "shown in the HTML".to_owned());
    let image = image.map(|size| format!("{} × {} pixels", size.width, size.height));
    let invitation = invitation.as_deref().map(invitation_of);
    let words: Vec<String> = [image, shown, invitation].into_iter().flatten().collect();
    if words.is_empty() { String::new() } else { format!("  {}", words.join(", ")) }
}

fn invitation_of(invitation: &Invitation) -> String {
    let time = |when: &When| {
        let zone = when.zone.as_ref().map(|zone| format!(" {}", zone.expose())).unwrap_or_default();
        format!("{}{zone}", when.at)
    };
    let method = invitation.method.as_deref().unwrap_or("calendar object");
    let summary = invitation.summary.as_ref().map(|summary| format!(" {:?}", summary.expose())).unwrap_or_default();
    let start = invitation.start.as_ref().map(|start| format!(" from {}", time(start))).unwrap_or_default();
    let end = invitation.end.as_ref().map(|end| format!(" to {}", time(end))).unwrap_or_default();
    let by = invitation.organizer.as_ref().map(|by| format!(" by {}", by.expose())).unwrap_or_default();
    let count = invitation.attendees.count;
    format!("{method}{summary}{start}{end}{by}, {count} invited")
}

/// What was taken out of the HTML, by kind; `None` where nothing was.
pub(super) fn removed(removed: &Removed) -> Option<String> {
    let kinds = removed.kinds().into_iter().filter(|(_, count)| *count > 0);
    let words: Vec<String> = kinds.map(|(kind, count)| format!("{count} {}", kind.replace('_', " "))).collect();
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
             Content-Type: image/gif\r\nContent-ID: <p@a>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             R0lGODlhCgAUAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==\r\n--x\r\nContent-Type: text/calendar\r\n\r\n\
             BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Lunch\r\nDTSTART:20261105T110000Z\r\n\
             ORGANIZER:mailto:ada@a.example\r\nATTENDEE:mailto:b@a.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--x--\r\n";
        let mail = parse(raw.as_bytes(), &Limits::default(), &[]).unwrap();
        let told: Vec<String> = mail.parts.iter().map(of_part).collect();
        let expected = [
            "",
            "  10 × 20 pixels, shown in the HTML",
            "  REQUEST \"Lunch\" from 2026-11-05T11:00:00 UTC by ada@a.example, 1 invited",
        ];
        assert_eq!(told, expected);
        assert_eq!(removed(&mail.html_removed).as_deref(), Some("1 scripts, 2 remote images"));
        assert_eq!(removed(&Removed::default()), None);
    }
}
