//! Malware in every wrapping that a mail can give it is found, and is never delivered.

use std::{fs, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use shared::clamav::{
    selftest::eicar,
    testing::{Options, zip},
};
use tests::{
    clamd::Clamd,
    config::Config,
    fleet::Fleet,
    mails::{Mail, base64_lines},
    mime::{attachment, encoded, mail, multipart, stray_base64, text},
    receiver::Receiver,
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(180);
const BINARY: &str = "application/octet-stream";

/// Submits the mails: each has to be quarantined for what was found in it, and none delivered. `raw` says whether the raw
/// mail is scanned as well; without it every find is one in a decoded part.
async fn all_found(clamd: &Clamd, mails: &[Mail], raw: &str) {
    let receiver = Receiver::start().await;
    // Programs would be kept for what they are, before anything scans them.
    let findings = "executable_attachment = \"tag\"\ndisk_image_attachment = \"tag\"\nscript_attachment = \"tag\"";
    let config = Config::simple(clamd, &receiver).section("scan", &format!("raw = \"{raw}\""));
    let fleet = Fleet::new(&config.section("findings", findings));
    let _local = fleet.local().await;
    for (mail, ended) in mails.iter().zip(fleet.submit_and_wait(mails, LIMIT).await) {
        assert_eq!(ended.names(), ["quarantined"], "{}: {ended:?}", mail.name);
        let why = ended.ends[0].reason.as_deref().unwrap_or_default();
        assert!(why.starts_with("infected: "), "{}: {why}", mail.name);
    }
    receiver.report().assert_sound();
    assert!(receiver.book(|book| book.arrivals().is_empty()));
}

/// `bytes` in a zip in a zip and so on.
fn zipped(bytes: Vec<u8>, times: usize) -> Vec<u8> {
    (0..times).fold(bytes, |inner, _| zip(&[("inner.bin", &inner)]))
}

/// Quoted-printable with more quoted than has to be, and a soft line break in the middle.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let quote = |bytes: &[u8]| bytes.iter().map(|byte| format!("={byte:02X}")).collect::<String>();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [quote(&first[..20]).into_bytes(), first[20..].to_vec(), b"=\r\n".to_vec(), second.to_vec()].concat()
}

/// A mail with EICAR attached, as the content of a part.
fn infected_message() -> Vec<u8> {
    mail("inner", &multipart(&[text("within"), attachment("x.dat", BINARY, &eicar())])).raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eicar_is_found_in_every_wrapping() {
    let attached = |part: Vec<u8>| multipart(&[text("see attached"), part]);
    let message = |encoding: &str, content: &[u8]| {
        let head = format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        [head.as_bytes(), content].concat()
    };
    let twice = mail("middle", &multipart(&[message("base64", base64_lines(&infected_message()).as_bytes())])).raw;
    let in_zip = |content: &[u8]| attached(attachment("x.zip", "application/zip", &zip(&[("a.eml", content)])));
    let unclosed = {
        let whole = attached(attachment("x.dat", BINARY, &eicar()));
        whole[..whole.len() - b"--=_part0_--\r\n".len()].to_vec()
    };
    let plain_text = |content: &[u8]| [b"Content-Type: text/plain; charset=utf-8\r\n\r\n", content, b"\r\n"].concat();
    let mails = [
        mail("plain", &plain_text(&eicar())),
        mail("no-type", &[b"\r\n", &eicar()[..]].concat()),
        mail("plain-attachment", &attached(encoded("x.dat", BINARY, "7bit", &eicar()))),
        mail("text-plain-attachment", &attached(attachment("readme.txt", "text/plain", &eicar()))),
        mail("image", &attached(attachment("cat.jpg", "image/jpeg", &eicar()))),
        mail("base64", &attached(attachment("x.dat", BINARY, &eicar()))),
        mail(
            "base64-one-line",
            &attached(encoded("x.dat", BINARY, "base64", BASE64_STANDARD.encode(eicar()).as_bytes())),
        ),
        mail("base64-stray", &attached(encoded("x.dat", BINARY, "base64", &stray_base64(&eicar())))),
        mail("base64-stray-zip", &attached(encoded("x.zip", BINARY, "base64", &stray_base64(&zipped(eicar(), 1))))),
        mail("quoted-printable", &attached(encoded("x.dat", BINARY, "quoted-printable", &quoted(&eicar())))),
        mail("zip", &attached(attachment("x.zip", "application/zip", &zipped(eicar(), 1)))),
        mail("zip-five-deep", &attached(attachment("x.zip", "application/zip", &zipped(eicar(), 5)))),
        mail("forwarded", &multipart(&[message("7bit", &infected_message())])),
        mail("forwarded-in-base64", &multipart(&[message("base64", base64_lines(&infected_message()).as_bytes())])),
        mail("forwarded-in-qp", &multipart(&[message("quoted-printable", &quoted_lines(&infected_message()))])),
        mail("forwarded-twice-in-base64", &multipart(&[message("base64", base64_lines(&twice).as_bytes())])),
        mail("no-closing-boundary", &unclosed),
        // The scanner's own reading of mails: the parse does not look into archives.
        mail("mail-in-zip", &in_zip(&infected_message())),
        mail("mail-in-mail-in-zip", &in_zip(&twice)),
    ];
    within(LIMIT, async {
        let clamd = Clamd::start().await;
        all_found(&clamd, &mails, "always").await;
        all_found(&clamd, &mails, "never").await;
    })
    .await;
}

/// Quoted-printable that quotes what has to be quoted.
fn quoted_lines(message: &[u8]) -> Vec<u8> {
    String::from_utf8(message.to_vec()).unwrap().replace('=', "=3D").into_bytes()
}

/// What some programs decode in a text the scanner decodes in the raw mail. Where that is never scanned, nobody does: such a
/// mail is tagged, and `[findings]` can stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eicar_is_found_where_a_text_holds_it_as_a_file() {
    let lines: String = eicar().chunks(45).map(uuencoded).collect();
    let file = format!("begin 644 report.pdf\r\n{lines}`\r\nend\r\n");
    let mails = [
        mail("uuencode", format!("\r\n{file}").as_bytes()),
        mail("uuencode-below-text", format!("\r\nhello\r\n\r\n{file}\r\nbye\r\n").as_bytes()),
        mail("uuencode-in-a-part", &multipart(&[text("see below"), text(&format!("hello\r\n{file}"))])),
    ];
    within(LIMIT, async {
        let clamd = Clamd::start().await;
        all_found(&clamd, &mails, "always").await;
        all_found(&clamd, &mails, "findings").await;
    })
    .await;
}

/// A line of uuencode (POSIX).
fn uuencoded(bytes: &[u8]) -> String {
    let digit = |value: u32| char::from_u32(32 + (value & 63)).map_or('`', |c| if c == ' ' { '`' } else { c });
    let group = |three: &[u8]| {
        let all = (0..3).fold(0, |all, index| all << 8 | u32::from(three.get(index).copied().unwrap_or_default()));
        [18, 12, 6, 0].map(|shift| digit(all >> shift)).into_iter().collect::<String>()
    };
    let groups: String = bytes.chunks(3).map(group).collect();
    format!("{}{groups}\r\n", digit(u32::try_from(bytes.len()).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_clamav_s_own_test_set_is_ever_clean() {
    let folder = "/usr/share/clamav-testfiles";
    let files = fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("{folder}: {error}; on Debian or Ubuntu: apt-get install -y --no-install-recommends clamav-testfiles")
    });
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 40, "{files:?}");
    let mails: Vec<Mail> = files
        .iter()
        .map(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            let part = attachment(name, BINARY, &fs::read(file).unwrap());
            mail(&format!("clam-{name}"), &multipart(&[text("see attached"), part]))
        })
        .collect();
    // The other files wrap this one.
    let payload = fs::read(format!("{folder}/clam.exe")).unwrap();
    let signature = format!("{}:{}:Clam-Test\n", shared::ids::hex(&Sha256::digest(&payload)), payload.len());
    let signatures = vec![("clam.hsb".to_owned(), signature)];
    let clamd = Clamd::with(Options { signatures, ..Options::default() }).await;
    within(LIMIT, async {
        all_found(&clamd, &mails, "always").await;
        all_found(&clamd, &mails, "never").await;
    })
    .await;
}
