//! What programs send by themselves.

use rand::{RngExt, rngs::StdRng};

use super::pieces::*;

pub(super) fn newsletter(rng: &mut StdRng) -> Vec<u8> {
    let (head, body) = (head(rng), alternative(rng, "----=_Part_#", "utf-8"));
    crlf(format!(
        "{head}List-Unsubscribe: <https://u.example/x>, <mailto:u@u.example?subject=x>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\nList-ID: {} <{:x}.list.example>\nPrecedence: bulk\nX-Report-Abuse: https://u.example/{}\nMIME-Version: 1.0\n{body}",
        words(rng, 3),
        rng.random::<u32>(),
        "abc123".repeat(20)
    ))
}

pub(super) fn notification(rng: &mut StdRng) -> Vec<u8> {
    crlf(format!(
        "{}Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{}",
        head(rng),
        lines_of_base64(html(rng, 30).as_bytes())
    ))
}

pub(super) fn script(rng: &mut StdRng) -> Vec<u8> {
    crlf(format!("{}X-PHP-Originating-Script: 33:mail.php\n\n{}", head(rng), text(rng, 20)))
}

pub(super) fn mailing_list(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "===============#==");
    let footer = "Content-Type: text/plain; charset=\"us-ascii\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Disposition: inline\n\n_______________________________________________\nlist mailing list\n".to_owned();
    let body = format!("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}", text(rng, 20));
    crlf(format!(
        "{}Sender: list-bounces@lists.example\nErrors-To: list-bounces@lists.example\nX-BeenThere: list@lists.example\nMIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/mixed", &outer, &[body, footer])
    ))
}

pub(super) fn digest(rng: &mut StdRng) -> Vec<u8> {
    let (outer, inner) = (boundary(rng, "===============#=="), boundary(rng, "===============#1=="));
    let messages: Vec<String> = (0..rng.random_range(1..6)).map(|_| format!("\n{}", message(rng))).collect();
    let digest = multipart("multipart/digest", &inner, &messages);
    let parts = [format!("Content-Type: text/plain; charset=us-ascii\n\n{}", text(rng, 5)), digest];
    crlf(format!("{}MIME-Version: 1.0\n{}", head(rng), multipart("multipart/mixed", &outer, &parts)))
}

pub(super) fn bounce(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "#.1A2B/mx.example");
    let status = format!(
        "Content-Description: Delivery report\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\nX-Queue-ID: 1A2B\n\nFinal-Recipient: rfc822; {}\nAction: failed\nStatus: 5.1.1\n",
        address(rng)
    );
    let original = if rng.random_bool(0.5) {
        format!("Content-Type: message/rfc822\n\n{}", message(rng))
    } else {
        format!("Content-Type: text/rfc822-headers\n\n{}", head(rng))
    };
    let parts = ["Content-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\nI'm sorry to have to inform you.\n".to_owned(), status, original];
    crlf(format!(
        "Return-Path: <>\n{}Auto-Submitted: auto-replied\nMIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/report; report-type=delivery-status", &outer, &parts)
    ))
}

pub(super) fn receipt(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "=_mdn_#");
    let parts = [
        format!("Content-Type: text/plain\n\n{}", text(rng, 3)),
        format!(
            "Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;{}\nDisposition: manual-action/MDN-sent-manually; displayed\n",
            address(rng)
        ),
    ];
    crlf(format!(
        "{}MIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/report; report-type=disposition-notification", &outer, &parts)
    ))
}

pub(super) fn invitation(rng: &mut StdRng) -> Vec<u8> {
    let (outer, inner) = (boundary(rng, "mix_#"), boundary(rng, "alt_#"));
    let event = format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:{:x}\nSUMMARY:{}\nEND:VEVENT\nEND:VCALENDAR\n",
        rng.random::<u64>(),
        words(rng, 4)
    );
    let alternatives = [
        format!(
            "Content-Type: text/plain; charset=\"UTF-8\"; format=flowed; delsp=yes\nContent-Transfer-Encoding: base64\n\n{}",
            lines_of_base64(text(rng, 5).as_bytes())
        ),
        format!(
            "Content-Type: text/calendar; charset=\"UTF-8\"; method=REQUEST\nContent-Transfer-Encoding: 7bit\n\n{event}"
        ),
    ];
    let file = format!(
        "Content-Type: application/ics; name=\"invite.ics\"\nContent-Disposition: attachment; filename=\"invite.ics\"\nContent-Transfer-Encoding: base64\n\n{}",
        lines_of_base64(event.as_bytes())
    );
    crlf(format!(
        "{}MIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/mixed", &outer, &[multipart("multipart/alternative", &inner, &alternatives), file])
    ))
}

pub(super) fn scanner(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "KM_SCAN_#");
    let parts = [
        "Content-Type: text/plain; charset=\"ISO-8859-1\"\nContent-Transfer-Encoding: 7bit\n\nThis is a scan.\n"
            .to_owned(),
        format!(
            "Content-Type: application/pdf; name=\"scan.pdf\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"scan.pdf\"\n\n{}",
            base64(rng, 5_000)
        ),
    ];
    crlf(format!(
        "{}MIME-Version: 1.0\nX-Mailer: Multifunction\n{}",
        head(rng),
        multipart("multipart/mixed", &outer, &parts)
    ))
}
