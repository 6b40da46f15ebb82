//! Containers through the whole fleet, with a real clamd: what hides something is never delivered, what people send is.

use std::time::Duration;

use shared::clamav::selftest::eicar;
use tests::{
    clamd::Clamd,
    config::Config,
    containers::{
        binary_tar, encrypted_xls, fixture, forwarded, gzip, gzip_beside, mail, nested, ole, overlapping, tar, zip,
        zip64,
    },
    fleet::Fleet,
    mails::Mail,
    metrics::Metrics,
    receiver::Receiver,
    soak::within,
};

const LIMIT: Duration = Duration::from_secs(300);
const BINARY: &str = "application/octet-stream";

/// Contents that are not clean, with what is said of them.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let many: Vec<(usize, &[u8])> = (0..12_000).map(|i| (i, &b"x"[..])).collect();
    let text = &b"a text that is no secret at all, but for its length, which is long enough"[..];
    let (first, second) = (zip(&[("a.txt", text)]), zip(&[("eicar.com", &eicar())]));
    let (zeros, secret) = (vec![0; 200_000_000], fixture("encrypted-zipcrypto.zip"));
    let picture = [&b"\xff\xd8\xff\xe0\0\x10JFIF\0 a picture "[..], &secret].concat();
    vec![
        ("depth", nested(&eicar(), 18), "limits_exceeded"),
        ("members", zip(&many), "limits_exceeded"),
        ("members-tar", gzip(&tar(&many)), "limits_exceeded"),
        ("zeros", zip(&[("zeros", &zeros)]), "limits_exceeded"),
        ("zeros-gzip", gzip(&zeros), "limits_exceeded"),
        ("zeros-nested", nested(&zip(&[("zeros", &zeros[..90_000_000])]), 2), "limits_exceeded"),
        // The scanner has a heuristic of its own for it.
        ("overlapping", overlapping(40, &zeros[..5_000_000]), "infected"),
        ("encrypted-zip", secret.clone(), "encrypted"),
        ("encrypted-aes", fixture("encrypted-aes.zip"), "encrypted"),
        ("encrypted-7z", fixture("encrypted-headers.7z"), "encrypted"),
        // That it is encrypted only the scanner sees; we do not open it.
        ("compressed-7z", fixture("encrypted.7z"), "encrypted"),
        ("plain-7z", fixture("plain.7z"), "unscannable"),
        ("encrypted-docx", fixture("encrypted.docx"), "encrypted"),
        ("encrypted-xlsx", zip(&[("a.xlsx", &fixture("encrypted.xlsx")[..])]), "encrypted"),
        ("encrypted-xls", encrypted_xls(), "encrypted"),
        ("encrypted-pdf", fixture("encrypted.pdf"), "encrypted"),
        ("encrypted-pdf-streams", gzip(&fixture("encrypted-streams.pdf")), "encrypted"),
        ("behind-a-picture", picture, "encrypted"),
        ("two-zips", [&first[..], &second].concat(), "unscannable"),
        ("cut", first[..first.len() - 30].to_vec(), "unscannable"),
        ("zip64", zip64(&eicar()), "unscannable"),
        ("binary-tar", binary_tar(&eicar()), "unscannable"),
        // What neither the scanner nor the format's own readers see, and another program opens.
        // What programs open as an object, and the scanner takes for the end of one.
        ("rtf-object", rtf(&gzip(&eicar())), "unscannable"),
        ("tnef-property", tnef(&gzip(&eicar())), "unscannable"),
        ("beside-gzip", gzip_beside(text, &second), "unscannable"),
        ("beside-tar", tar_padding(&zip(&[("e", &eicar())])), "unscannable"),
        ("beside-ole", [&ole(&[("/WordDocument", text)])[..], &secret].concat(), "unscannable"),
        ("eicar-ole", ole(&[("/WordDocument", &[0xec, 0xa5, 0xc1, 0, 0, 0]), ("/Package", &second)]), "infected"),
        ("eicar-deep", gzip(&tar(&[("a.zip", &nested(&eicar(), 6)[..])])), "infected"),
    ]
}

/// An RTF with a packaged file, whose digits begin behind the end of a line.
fn rtf(content: &[u8]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let native = [b"\x02\0a.gz\0a.gz\0\0\0\x03\0\x05\0\0\0a.gz\0", &len(content.len())[..], content].concat();
    let head = b"\x01\x05\0\0\x02\0\0\0\x08\0\0\0Package\0\0\0\0\0\0\0\0\0";
    let object = [&head[..], &len(native.len()), &native].concat();
    let digits: String = object.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\\rtf1{{\\object\\objemb{{\\*\\objdata\n{digits}}}}}}}").into_bytes()
}

/// A TNEF with an attachment whose content is among its properties.
fn tnef(content: &[u8]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let attribute = |id: u32, data: &[u8]| {
        let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        [&[2][..], &id.to_le_bytes(), &len(data.len()), data, &sum.to_le_bytes()].concat()
    };
    let property = [&b"\x02\x01\x01\x37\x01\0\0\0"[..], &len(content.len()), content].concat();
    let attributes = [attribute(0x0006_9002, &[0; 14]), attribute(0x0006_9005, &property)].concat();
    [&b"\x78\x9f\x3e\x22\x01\0"[..], &attributes].concat()
}

/// A tar with something in what fills up the block of its member.
fn tar_padding(hidden: &[u8]) -> Vec<u8> {
    let mut archive = tar(&[("a.txt", &b"x"[..])]);
    archive[513..][..hidden.len()].copy_from_slice(hidden);
    archive
}

/// Contents that people send.
fn ordinary() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = &b"one two three four five six seven eight nine ten eleven twelve"[..];
    let pages = text.repeat(20_000);
    let jar = zip(&[("META-INF/MANIFEST.MF", text), ("a/B.class", b"\xca\xfe\xba\xbe\0\0\0\x41")]);
    let epub = zip(&[("mimetype", &b"application/epub+zip"[..]), ("META-INF/container.xml", text), ("a.xhtml", text)]);
    vec![
        ("docx", "a.docx", fixture("plain.docx")),
        ("xlsx", "a.xlsx", fixture("plain.xlsx")),
        ("pdf", "a.pdf", fixture("plain.pdf")),
        ("pdf-streams", "a.pdf", fixture("plain-streams.pdf")),
        ("zip", "a.zip", zip(&[("a.txt", &pages[..]), ("b/c.txt", text), ("empty", b"")])),
        ("nested", "a.zip", nested(text, 4)),
        ("jar", "a.jar", jar),
        ("epub", "a.epub", epub),
        ("tar-gz", "a.tar.gz", gzip(&tar(&[("a.txt", &pages[..]), ("b.zip", &zip(&[("c", text)])[..])]))),
        ("doc", "a.doc", ole(&[("/WordDocument", &[0xec, 0xa5, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]), ("/Data", text)])),
    ]
}

#[tokio::test]
async fn what_hides_something_is_never_delivered_and_what_people_send_is() {
    within(LIMIT * 2, async {
        let (clamd, receiver) = (Clamd::start().await, Receiver::start().await);
        let metrics = Metrics::free_port();
        // A program is kept for what it is; here it is about what is in it.
        let findings = "executable_attachment = \"tag\"";
        let config = Config::simple(&clamd, &receiver).section("telemetry", &metrics.section());
        let config = config.section("findings", findings);
        let fleet = Fleet::new(&config);
        let local = fleet.local().await;

        let mut cases: Vec<(Mail, Option<&str>)> = Vec::new();
        for (name, content, verdict) in hostile() {
            cases.push((mail(name, "a.dat", BINARY, &content), Some(verdict)));
        }
        // By their bytes alone: whatever they are called, and within an encoded mail.
        let secret = fixture("encrypted-headers.7z");
        cases.push((mail("as-text", "a.txt", "text/plain", &secret), Some("encrypted")));
        cases.push((forwarded("forwarded-secret", &secret), Some("encrypted")));
        cases.push((forwarded("forwarded-depth", &nested(b"text", 18)), Some("limits_exceeded")));
        for (name, file, content) in ordinary() {
            let mail = mail(name, file, BINARY, &content);
            receiver.expect("/hook", &mail);
            cases.push((mail, None));
        }
        let mails: Vec<Mail> = cases.iter().map(|(mail, _)| mail.clone()).collect();
        for (ended, (mail, verdict)) in fleet.submit_and_wait(&mails, LIMIT).await.iter().zip(&cases) {
            let Some(verdict) = verdict else {
                assert_eq!(ended.names(), ["delivered"], "{}: {ended:?}", mail.name);
                continue;
            };
            assert_eq!(ended.names(), ["quarantined"], "{}: {ended:?}", mail.name);
            let reason = ended.ends[0].reason.as_deref().unwrap_or_default();
            assert!(reason.contains(verdict), "{}: {reason} instead of {verdict}", mail.name);
            assert_eq!(ended.ends[0].attempts, 1, "{}: nothing is tried again", mail.name);
        }
        receiver.wait_complete(LIMIT).await.assert_sound();
        // Each ended at a limit of the walk, none at the limits of its child.
        let said = metrics.get().await;
        assert!(!said.contains("mailtri_sandbox_kills_total{"), "{said}");
        assert!(local.stop(LIMIT).await.status.success());
    })
    .await;
}
