//! What people send is clean.

use super::forge::{Member, fixture, forged, gzip, ole, streamed_zip, tar, zip};
use super::{assert_clean, walked};
use crate::containers::Kind;

const TEXT: &[u8] = b"A sentence that is long enough to be compressed, said twice. Said twice. Said twice.";

#[test]
fn what_other_programs_make_is_clean() {
    for name in ["plain.docx", "plain.xlsx", "plain.pdf", "plain-streams.pdf"] {
        assert_clean(&fixture(name), name);
    }
}

#[test]
fn ordinary_archives_are_clean_and_every_member_is_seen() {
    let jar = zip(&[("META-INF/", b""), ("META-INF/MANIFEST.MF", TEXT), ("a/B.class", &[0xca; 500])]);
    let epub = zip(&[("mimetype", b"application/epub+zip"), ("META-INF/container.xml", TEXT), ("text.xhtml", TEXT)]);
    let odt = zip(&[("mimetype", b"application/odt"), ("META-INF/manifest.xml", TEXT), ("content.xml", TEXT)]);
    let archive = tar(&[("a.txt", TEXT), (&format!("{}/b.txt", "deep/".repeat(40)), TEXT), ("empty", b"")]);
    for (content, what, members) in [
        (zip(&[("a.txt", TEXT), ("b.txt", b"short"), ("empty", b"")]), "zip", 3),
        (zip(&[]), "empty zip", 0),
        (streamed_zip(&[("a.txt", TEXT), ("b.txt", TEXT)]), "streamed zip", 2),
        (zip(&[("inner.zip", &zip(&[("a.txt", TEXT)])), ("b.gz", &gzip(TEXT))]), "nested", 4),
        (jar, "jar", 3),
        (epub, "epub", 3),
        (odt, "odt", 3),
        (archive.clone(), "tar", 3),
        (gzip(&archive), "tar.gz", 4),
        (gzip(TEXT), "gzip", 1),
        ([gzip(b"one "), gzip(b"two")].concat(), "gzip of two members", 1),
        ([gzip(TEXT), vec![0; 512]].concat(), "padded gzip", 1),
        (tar(&[]), "empty tar", 0),
        (ole(&[("/WordDocument", &[0xec, 0xa5, 0, 0]), ("/Objects/1/Package", &zip(&[("a", TEXT)]))]), "ole", 3),
    ] {
        assert_clean(&content, what);
        assert_eq!(walked(&content).members, members, "{what}");
    }
}

#[test]
fn what_is_no_container_is_clean() {
    for content in [&b""[..], b"P", b"PK", TEXT, b"MZ\x90\0", b"PK\x05 PK\x03 Rar! 7z", &[0; 4096], &[0xff; 70_000]] {
        assert_clean(content, "no container");
        assert_eq!(walked(content).members, 0);
    }
}

#[test]
fn padding_a_comment_and_a_program_before_it_do_not_hurt_a_zip() {
    let members = [Member::stored("a.txt", TEXT), Member::deflated("b.txt", TEXT)];
    let plain = forged(&members, &members);
    assert_clean(&plain, "forged");
    assert_clean(&[&plain[..], b"\r\n\0\0"].concat(), "padded");
    assert_clean(&[&b"MZ\x90\0 a program that unpacks itself "[..], &plain].concat(), "self-extracting");
    let picture =
        [&b"\xff\xd8\xff\xe0 a picture "[..], &zip(&[("a.txt", TEXT), ("b.pdf", &fixture("encrypted.pdf"))])].concat();
    let found = walked(&picture);
    assert_eq!((found.obstacles[0].kind, found.members), (Kind::Pdf, 2), "what is inside is looked at");
    assert_eq!(found.obstacles[0].member.expose(), "b.pdf");
}
