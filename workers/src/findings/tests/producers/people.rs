//! What people send.

use rand::{RngExt, rngs::StdRng};

use super::pieces::*;

pub(super) fn plain(rng: &mut StdRng) -> Vec<u8> {
    crlf(format!(
        "{}MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nUser-Agent: Mutt/2.2\n\n{}",
        head(rng),
        text(rng, 30)
    ))
}

pub(super) fn flowed(rng: &mut StdRng) -> Vec<u8> {
    let quoted: String = text(rng, 10).lines().map(|line| format!("> {line} \n")).collect();
    crlf(format!(
        "{}MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8; format=flowed; delsp=yes\nContent-Transfer-Encoding: 8bit\nContent-Language: en-US\n\nOn Monday, somebody wrote:\n{quoted}\n{}-- \nJ\u{f6}rg\n",
        head(rng),
        text(rng, 10)
    ))
}

pub(super) fn webmail(rng: &mut StdRng) -> Vec<u8> {
    let (head, body) = (head(rng), alternative(rng, "000000000000#", "UTF-8"));
    crlf(format!("MIME-Version: 1.0\n{head}{body}"))
}

pub(super) fn groupware(rng: &mut StdRng) -> Vec<u8> {
    let (head, body) = (head(rng), alternative(rng, "_000_#BY5PR00MB0000namprd_", "Windows-1252"));
    let index = base64(rng, 22);
    crlf(format!(
        "{head}Thread-Topic: {}\nThread-Index: {}X-MS-Has-Attach:\nX-MS-TNEF-Correlator:\nx-ms-exchange-senderadcheck: 1\nContent-Language: de-DE\nMIME-Version: 1.0\n{body}",
        words(rng, 4),
        index
    ))
}

pub(super) fn phone(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "Apple-Mail-#-ABCD");
    let photo = format!(
        "Content-Type: image/jpeg; name=image0.jpeg; x-apple-part-url=AB\nContent-Disposition: inline; filename=image0.jpeg\nContent-Transfer-Encoding: base64\n\n{}",
        base64(rng, 900)
    );
    let parts = [
        format!(
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{}",
            quoted(&text(rng, 5))
        ),
        photo,
        "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\n\n\nSent from my phone\n"
            .to_owned(),
    ];
    crlf(format!(
        "{}Mime-Version: 1.0 (1.0)\nX-Mailer: iPhone Mail\n{}",
        head(rng),
        multipart("multipart/mixed", &outer, &parts)
    ))
}

pub(super) fn forwarded(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "------------#");
    let parts = [
        format!(
            "Content-Type: text/plain; charset=UTF-8; format=flowed\nContent-Transfer-Encoding: 7bit\n\n{}",
            text(rng, 5)
        ),
        format!(
            "Content-Type: message/rfc822; charset=UTF-8; name=\"Fwd.eml\"\nContent-Disposition: attachment; filename=\"Fwd.eml\"\nContent-Transfer-Encoding: 7bit\n\n{}MIME-Version: 1.0\n{}",
            head(rng),
            alternative(rng, "b#", "utf-8")
        ),
    ];
    crlf(format!("{}MIME-Version: 1.0\n{}", head(rng), multipart("multipart/mixed", &outer, &parts)))
}

pub(super) fn forwarded_encoded(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "_004_#_");
    let inner = crlf(message(rng));
    let parts = [
        format!("Content-Type: text/plain\n\n{}", text(rng, 5)),
        format!(
            "Content-Type: message/rfc822\nContent-Disposition: attachment; creation-date=\"Tue, 03 Nov 2026 09:00:00 GMT\"\nContent-Transfer-Encoding: base64\n\n{}",
            lines_of_base64(&inner)
        ),
    ];
    crlf(format!("{}MIME-Version: 1.0\n{}", head(rng), multipart("multipart/mixed", &outer, &parts)))
}

pub(super) fn related(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "_004_#_");
    let mut parts = vec![alternative(rng, "_000_#_", "iso-8859-1")];
    for index in 1..=rng.random_range(1..4) {
        parts.push(format!("Content-Type: image/png; name=\"image{index:03}.png\"\nContent-Description: image{index:03}.png\nContent-Disposition: inline; filename=\"image{index:03}.png\"; size=300;\n\tcreation-date=\"Tue, 03 Nov 2026 09:00:00 GMT\"\nContent-ID: <image{index:03}.png@01DA.1A2B>\nContent-Transfer-Encoding: base64\n\n{}", base64(rng, 300)));
    }
    crlf(format!(
        "{}MIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/related;\n\ttype=\"multipart/alternative\"", &outer, &parts)
    ))
}

pub(super) fn attachments(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "=-#");
    let mut parts = vec![alternative(rng, "=-#a", "utf-8")];
    for index in 0..rng.random_range(1..5) {
        let (word, bytes) = (pick(rng, &WORDS), rng.random_range(1..4_000));
        let name = match index % 3 {
            0 => format!("filename=\"{word} {index}.pdf\""),
            1 => format!("filename*=UTF-8''Gr%C3%BC%C3%9Fe%20{index}.docx"),
            _ => format!(
                "filename*0=\"a very long name of a file that has to be split {word}\";\n filename*1=\" and its end {index}.xlsx\""
            ),
        };
        parts.push(format!("Content-Type: application/octet-stream\nContent-Disposition: attachment; {name}\nContent-Transfer-Encoding: base64\n\n{}", base64(rng, bytes)));
    }
    crlf(format!("{}MIME-Version: 1.0\n{}", head(rng), multipart("multipart/mixed", &outer, &parts)))
}

pub(super) fn signed(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "----#");
    let signature = format!(
        "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"smime.p7s\"\n\n{}",
        base64(rng, 1_500)
    );
    let parts = [alternative(rng, "=_in_#", "utf-8"), signature];
    crlf(format!(
        "{}MIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256", &outer, &parts)
    ))
}

pub(super) fn encrypted(rng: &mut StdRng) -> Vec<u8> {
    let outer = boundary(rng, "pgp_#");
    let parts = [
        "Content-Type: application/pgp-encrypted\nContent-Description: PGP/MIME version identification\n\nVersion: 1\n"
            .to_owned(),
        format!(
            "Content-Type: application/octet-stream; name=\"encrypted.asc\"\nContent-Disposition: inline; filename=\"encrypted.asc\"\n\n-----BEGIN PGP MESSAGE-----\n\n{}-----END PGP MESSAGE-----\n",
            base64(rng, 900)
        ),
    ];
    crlf(format!(
        "{}MIME-Version: 1.0\n{}",
        head(rng),
        multipart("multipart/encrypted; protocol=\"application/pgp-encrypted\"", &outer, &parts)
    ))
}

pub(super) fn japanese(rng: &mut StdRng) -> Vec<u8> {
    let line = "\x1b$BL@F|$N2q5D$O==;~$+$i$G$9!#\x1b(B\n".repeat(rng.random_range(1..9));
    crlf(format!(
        "{}X-Count: {}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=ISO-2022-JP\nContent-Transfer-Encoding: 7bit\n\n{line}",
        head(rng),
        rng.random::<u32>()
    ))
}

pub(super) fn cyrillic(rng: &mut StdRng) -> Vec<u8> {
    let koi8: Vec<u8> = (0..rng.random_range(20..200)).map(|_| rng.random_range(0xc0..=0xff)).collect();
    crlf(format!(
        "{}MIME-Version: 1.0\nContent-Type: text/plain; charset=\"koi8-r\"\nContent-Transfer-Encoding: base64\n\n{}",
        head(rng),
        lines_of_base64(&koi8)
    ))
}

pub(super) fn western(rng: &mut StdRng) -> Vec<u8> {
    let mut raw = crlf(format!(
        "{}MIME-Version: 1.0\nContent-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: 8bit\n\n",
        head(rng)
    ));
    raw.extend_from_slice(b"Sch\xf6ne Gr\xfc\xdfe \x96 100 \x80\r\n");
    raw.extend(crlf(text(rng, 10)));
    raw
}

pub(super) fn internationalised(rng: &mut StdRng) -> Vec<u8> {
    let from = "J\u{f6}rg <j\u{f6}rg@b\u{fc}cher.example>";
    let head: String = head(rng)
        .lines()
        .map(|line| if line.starts_with("From: ") { format!("From: {from}\n") } else { format!("{line}\n") })
        .collect();
    crlf(format!(
        "{head}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGr\u{fc}\u{df}e\n{}",
        text(rng, 5)
    ))
}

pub(super) fn from_a_file(rng: &mut StdRng) -> Vec<u8> {
    format!("From ann@a.example Tue Nov  3 09:00:00 2026\n{}\n{}", head(rng), text(rng, 30)).into_bytes()
}

pub(super) fn hidden_recipients(rng: &mut StdRng) -> Vec<u8> {
    let head: String =
        head(rng)
            .lines()
            .filter(|line| !line.starts_with(' ') && !line.starts_with("DKIM"))
            .map(|line| {
                if line.starts_with("To: ") { "To: undisclosed-recipients:;\n".to_owned() } else { format!("{line}\n") }
            })
            .collect();
    crlf(format!("{head}\n{}", text(rng, 10)))
}
