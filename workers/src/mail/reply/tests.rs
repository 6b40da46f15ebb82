//! Replies as mail programs write them.

use super::*;

fn quoted(attribution: &str) -> String {
    format!("Yes, do it.\n\nSecond line.\n\n{attribution}\n\n> Shall I?\n>\n> Ada\n")
}

#[test]
fn attributions_of_many_languages_are_recognised() {
    for attribution in [
        "On Tue, Nov 24, 2026 at 10:00 AM Ada Lovelace <ada@a.example> wrote:",
        "On Tue, Nov 24, 2026 at 10:00 AM Ada Lovelace\n<ada@a.example> wrote:",
        "On 24 Nov 2026, at 10:00, Ada Lovelace <ada@a.example> wrote:",
        "Am 24.11.2026 um 10:00 schrieb Ada Lovelace <ada@a.example>:",
        "Am Di., 24. Nov. 2026 um 10:00 Uhr schrieb Ada Lovelace <\nada@a.example>:",
        "Le mar. 24 nov. 2026 à 10:00, Ada Lovelace <ada@a.example> a écrit :",
        "El mar, 24 nov 2026 a las 10:00, Ada Lovelace (<ada@a.example>) escribió:",
        "Il giorno mar 24 nov 2026 alle ore 10:00 Ada Lovelace <ada@a.example> ha scritto:",
        "Em ter., 24 de nov. de 2026 às 10:00, Ada Lovelace <ada@a.example> escreveu:",
        "Op di 24 nov 2026 om 10:00 schreef Ada Lovelace <ada@a.example>:",
        "Den tis 24 nov. 2026 kl 10:00 skrev Ada Lovelace <ada@a.example>:",
        "wt., 24 lis 2026 o 10:00 Ada Lovelace <ada@a.example> napisał(a):",
        "ti 24. marrask. 2026 klo 10.00 Ada Lovelace (ada@a.example) kirjoitti:",
        "вт, 24 нояб. 2026 г. в 10:00, Ada Lovelace <ada@a.example> пишет:",
        "Ada Lovelace <ada@a.example> 于2026年11月24日周二 10:00写道：",
        "2026-11-24 10:00 GMT+01:00 Ada Lovelace <ada@a.example>:",
        "2026/11/24 Ada Lovelace\n<ada@a.example>:",
    ] {
        assert_eq!(reply(&quoted(attribution)), "Yes, do it.\n\nSecond line.", "{attribution}");
    }
}

#[test]
fn another_mail_below_is_cut_off() {
    for below in [
        "-----Original Message-----\nFrom: Ada\nSent: today\n\nShall I?",
        "-----Ursprüngliche Nachricht-----\nVon: Ada",
        "________________________________\nFrom: Ada Lovelace <ada@a.example>\nSent: Tuesday, November 24, 2026 10:00\nTo: Bob\nSubject: Shall I?\n\nShall I?",
        "From: Ada Lovelace <ada@a.example>\nDate: Tuesday\nTo: Bob\nSubject: Shall I?\n\nShall I?",
        "*From:* Ada\n*Sent:* today\n*To:* Bob\n\nShall I?",
        "Von: Ada Lovelace <ada@a.example>\nGesendet: Dienstag, 24. November 2026 10:00\nAn: Bob\nBetreff: Frage\n\nSoll ich?",
        "De : Ada <ada@a.example>\nEnvoyé : mardi 24 novembre 2026\nÀ : Bob\nObjet : Question\n\nOui ?",
        "On Tue, Nov 24, 2026 at 10:00 AM Ada <ada@a.example> wrote:\n\nShall I?",
        "> Shall I?",
    ] {
        assert_eq!(reply(&format!("Yes.\n\n{below}\n")), "Yes.", "{below}");
    }
}

#[test]
fn signatures_go() {
    for below in [
        "-- \nBob\nExample Corp.\n",
        "--\nBob",
        "Sent from my iPhone",
        "Sent from my iPhone\n\nOn 24 Nov 2026, at 10:00, Ada <ada@a.example> wrote:\n\n> Shall I?",
        "Von meinem iPhone gesendet\n",
        "Get Outlook for iOS\n________________________________\nFrom: Ada\nSent: x\nTo: y\nSubject: z\n",
        "-- \nBob\n\nOn 24 Nov 2026, at 10:00, Ada <ada@a.example> wrote:\n> Shall I?",
    ] {
        assert_eq!(reply(&format!("Yes.\n\n{below}")), "Yes.", "{below}");
    }
}

#[test]
fn answers_between_quotes_stay() {
    let text = "On 24 Nov 2026, Ada <ada@a.example> wrote:\n> One?\n\nYes.\n\n> Two?\n\nNo.\n";
    assert_eq!(reply(text), "\nYes.\n\n\nNo.");
}

#[test]
fn what_is_no_quote_stays() {
    for text in [
        "On that I wrote:\n\nnothing",
        "Dear all,\n\nFrom: here on we are fine.\n\nBob",
        "---------- Forwarded message ---------\nFrom: Ada <ada@a.example>\n\nLook at this.",
        "a -- b\n---\nc",
        "Two of 12 write to Ada <ada@a.example>:\n\nyes",
        "At 10:00 I meet\nAda <ada@a.example>:\n\nyes",
        "See you at 10:00:\n\nyes",
        "Sent from my side of things\nthere is more to say.",
        "",
        "x\n\n",
    ] {
        assert!(matches!(reply(text), Cow::Borrowed(same) if same == text), "{text}");
    }
    assert_eq!(reply("> only a quote\n"), "");
}

#[test]
fn below_what_may_be_another_mail_nothing_is_the_senders_own() {
    for below in [
        "Begin forwarded message",
        "Begin forwarded message:",
        "Forwarded message",
        "Message transféré",
        "---------- Forwarded message ---------",
        "Ada wrote:",
        "Ada schrieb :",
        "On that I wrote:",
        "Ada a écrit :",
        "From: Ada <ada@a.example>",
        "From: Ada <ada@a.example>\nTo: Bob",
        "From: Ada\nTo: Bob",
        "________________________________\nFrom: Ada",
        "________________________________\n\n*Von:* Ada",
    ] {
        let text = format!("Fine.\n\n{below}\n\n#task quoted\n");
        assert_eq!(own(&reply(&text)).trim_end_matches(['_', '\n']), "Fine.", "{below}");
    }
    for text in [
        "From: here on\n#task x",
        "A forwarded message is below\n#task x",
        "What Ada wrote: no.\n#task x",
        "________________________________\n#task x",
        "To: Bob\n#task x",
    ] {
        assert_eq!(own(&reply(text)), text);
    }
}

#[test]
fn a_long_text_of_any_piece_never_grows() {
    for piece in ["On 1\n", "From: x\n", "On 24 Nov 2026 x@y\n", "> x\n", "-- x\n", "\n", "____________\n", "x"] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert!(reply(&text).len() <= text.len());
    }
}
