//! What is dangerous about a file in a container, by the rules for attachments: any of its names, and its first bytes.
//!
//! It comes out under one of its names in a folder, so that only the last component of a name counts; but some folders are
//! a program by their own name.

use std::collections::BTreeSet;

use super::danger::Danger;
use super::extension::{extensions, is_double};
use super::{Found, by_name, family::Family};
use crate::mail::model::FindingCode;

/// Folders that the Finder runs, opens or installs as one thing.
const BUNDLES: [&str; 6] = ["app", "workflow", "prefpane", "pkg", "mpkg", "action"];
/// The longest component of a name that a file system takes, and more, in bytes.
const LONGEST: usize = 1024;

/// The findings about a file of these names with these first bytes.
pub(crate) fn of_member<'n>(names: impl IntoIterator<Item = &'n [u8]>, head: &[u8]) -> BTreeSet<FindingCode> {
    let mut codes: BTreeSet<FindingCode> = Danger::of_bytes(head).map(Danger::code).into_iter().collect();
    for name in names {
        // With nothing in it, one whose name ends so is a folder.
        let kept = name.iter().rposition(|byte| !is_separator(byte)).filter(|_| !head.is_empty());
        let name = kept.and_then(|last| name.get(..=last)).unwrap_or(name);
        let mut components = name.rsplit(is_separator);
        let last = components.next().map(text).unwrap_or_default();
        let family = || Found::of(head).map(|found| found.family);
        codes.extend(of_name(&last, family));
        if is_double(&last) {
            codes.insert(FindingCode::DoubleExtension);
        }
        // Most folders have no dot.
        let components = components.filter(|folder| folder.contains(&b'.'));
        codes.extend(components.map(text).filter_map(|folder| of_bundle(&folder)).map(Danger::code));
    }
    codes
}

/// The last component of a member's name, as far as any file system takes it.
pub(crate) fn last_component(name: &[u8]) -> String {
    name.rsplit(is_separator).next().map(text).unwrap_or_default()
}

fn of_name(name: &str, family: impl Fn() -> Option<Family>) -> Vec<FindingCode> {
    let danger = |extension: String| by_name(name, &family, &extension).map(Danger::code);
    extensions(name).filter_map(danger).collect()
}

fn of_bundle(folder: &str) -> Option<Danger> {
    extensions(folder).filter(|extension| BUNDLES.contains(&&**extension)).find_map(|it| Danger::of_extension(&it))
}

const fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Its end, which is what decides.
fn text(component: &[u8]) -> String {
    let from = component.len().saturating_sub(LONGEST);
    String::from_utf8_lossy(component.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use FindingCode::{
        DiskImageAttachment, DoubleExtension, ExecutableAttachment, HtmlAttachment, ScriptAttachment,
        ShortcutAttachment, SourceAttachment,
    };

    #[test]
    fn members_are_judged_as_attachments_are() {
        let long = format!("{}/{}.js", "folder/".repeat(200), "x".repeat(300));
        for (name, head, codes) in [
            ("a.txt", &b"text"[..], &[][..]),
            ("invoice.pdf.exe", b"", &[ExecutableAttachment, DoubleExtension]),
            ("a/b\\c.js", b"", &[ScriptAttachment]),
            (&*long, b"", &[ScriptAttachment]),
            ("a.LNK ", b"", &[ShortcutAttachment]),
            ("a.exe\0.txt", b"", &[ExecutableAttachment]),
            ("a.hta\u{200b}", b"", &[ScriptAttachment]),
            ("a.iso", b"", &[DiskImageAttachment]),
            ("a", b"\x7fELF", &[ExecutableAttachment]),
            ("a.txt", b"<!DOCTYPE html>", &[HtmlAttachment]),
            ("a.sh", b"#!/bin/sh", &[SourceAttachment]),
            // Folders are no files, but for those that are.
            ("www.example.com/", b"", &[]),
            ("a.exe/", b"x", &[ExecutableAttachment]),
            ("www.example.com/index.txt", b"", &[]),
            ("node.js/readme.txt", b"", &[]),
            ("A.app/Contents/Info.plist", b"", &[ExecutableAttachment]),
            ("a.workflow/", b"", &[ScriptAttachment]),
            // Addresses end like programs of DOS.
            ("ann@example.com", b"From: a text", &[]),
            ("a.com", b"X5O!P", &[ExecutableAttachment]),
        ] {
            assert_eq!(of_member([name.as_bytes()], head).into_iter().collect::<Vec<_>>(), codes, "{name:?}");
        }
        let both = of_member([&b"a.txt"[..], b"a.vbs"], b"");
        assert!(both.into_iter().eq([ScriptAttachment]), "the worst of the names counts");
    }
}
