//! What becomes of attachments by what they are, as nobody configured anything.

use super::{
    examples::{attachment, parts},
    ordinary::{admission, stopped},
};
use crate::{admission::Stop, mail::model::FindingCode};

/// Whether a mail with an attachment of that name is stopped, and what it is tagged with.
fn sent(name: &str) -> (Option<Stop>, Vec<FindingCode>) {
    stopped(&admission(), &parts(&[&attachment(&format!("filename=\"{name}\""))]).raw)
}

/// The names that Windows, macOS, Linux, Java or Office run, mount or follow at a double click.
#[test]
fn what_a_double_click_runs_is_quarantined_as_nobody_configured_anything() {
    for name in [
        "setup.exe",
        "a.com",
        "a.scr",
        "a.pif",
        "a.cpl",
        "a.dll",
        "a.msi",
        "a.msix",
        "a.jar",
        "a.jnlp",
        "a.apk",
        "a.dmg",
        "a.pkg",
        "a.deb",
        "a.xll",
        "a.bat",
        "a.cmd",
        "a.ps1",
        "a.psm1",
        "a.vbs",
        "a.vbe",
        "a.js",
        "a.jse",
        "a.mjs",
        "a.wsf",
        "a.wsh",
        "a.sct",
        "a.hta",
        "a.chm",
        "a.reg",
        "a.inf",
        "a.msc",
        "a.command",
        "a.pyw",
        "a.iqy",
        "a.mde",
        "a.diagcab",
        "a.lnk",
        "a.url",
        "a.webloc",
        "a.desktop",
        "a.scf",
        "a.rdp",
        "a.search-ms",
        "a.library-ms",
        "a.iso",
        "a.img",
        "a.vhd",
        "a.vhdx",
        "A.EXE",
        "a.js ",
        "a.Lnk.",
    ] {
        let (stop, tags) = sent(name);
        assert!(matches!(stop, Some(Stop::Quarantine { .. })), "{name}: {stop:?}, {tags:?}");
    }
}

#[test]
fn what_people_send_each_other_is_at_most_tagged() {
    use FindingCode::{HtmlAttachment, MacroAttachment, SourceAttachment};
    for (name, tag) in [
        ("a.py", Some(SourceAttachment)),
        ("a.sh", Some(SourceAttachment)),
        ("a.rb", Some(SourceAttachment)),
        ("a.php", Some(SourceAttachment)),
        ("a.xlsm", Some(MacroAttachment)),
        ("a.docm", Some(MacroAttachment)),
        ("a.accdb", Some(MacroAttachment)),
        ("a.one", Some(MacroAttachment)),
        ("a.html", Some(HtmlAttachment)),
        ("a.svg", Some(HtmlAttachment)),
        ("a.c", None),
        ("a.rs", None),
        ("a.go", None),
        ("a.java", None),
        ("a.ts", None),
        ("a.css", None),
        ("a.json", None),
        ("a.sql", None),
        ("a.vcf", None),
        ("a.ics", None),
        ("a.eml", None),
        ("a.p7s", None),
        ("a.heic", None),
        ("a.mp4", None),
    ] {
        let (stop, tags) = sent(name);
        assert!(stop.is_none(), "{name}: {stop:?}");
        assert_eq!(tags.iter().find(|code| code.name().ends_with("_attachment")), tag.as_ref(), "{name}");
    }
}
