//! Which types are dangerous: what a click runs, mounts, follows or lets run.

use memchr::memmem;

use crate::mail::model::FindingCode;

/// Why a type is dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Danger {
    /// A program, a library or an installer.
    Executable,
    /// A script that a desktop runs.
    Script,
    /// The source of a program, which is read rather than run.
    Source,
    /// A shortcut to elsewhere.
    Shortcut,
    /// An Office document with macros or other active content, or an add-in.
    Macro,
    /// A disk image, which is mounted without the mark of the web.
    DiskImage,
    /// HTML and what is shown like it, outside the body: a page of its own, with scripts.
    Html,
}

/// Programs, libraries, installers and packages of every system.
const EXECUTABLE: &[&str] = &[
    "exe",
    "com",
    "scr",
    "pif",
    "cpl",
    "dll",
    "sys",
    "ocx",
    "drv",
    "msi",
    "msp",
    "mst",
    "msix",
    "msixbundle",
    "appx",
    "appxbundle",
    "appinstaller",
    "application",
    "jar",
    "jnlp",
    "class",
    "apk",
    "xapk",
    "ipa",
    "app",
    "dmg",
    "pkg",
    "deb",
    "rpm",
    "run",
    "elf",
    "so",
    "dylib",
    "gadget",
    "xbap",
    "xll",
    "wasm",
    "pyc",
    "pyz",
    "pyzw",
    "msu",
    "appref-ms",
    "mpkg",
    "appimage",
    "snap",
    "flatpak",
    "flatpakref",
    "apks",
    "apkm",
    "xpi",
    "crx",
    "oxt",
    "pyd",
    "pyo",
    "vxd",
    "ppkg",
    "mobileconfig",
];
/// What a desktop runs or installs as it is at a double click: Windows Script Host, the command prompt, PowerShell, HTML
/// applications, compiled help, settings, database applications and web queries of Office, Terminal.
const SCRIPT: &[&str] = &[
    "bat", "cmd", "ps1", "ps1xml", "ps2", "ps2xml", "psm1", "psd1", "psc1", "vb", "vbs", "vbe", "js", "jse", "mjs",
    "ws", "wsf", "wsc", "wsh", "sct", "hta", "chm", "hlp", "inf", "ins", "isp", "reg", "msc", "msh", "command", "pyw",
    "ahk", "au3", "a3x", "shb", "shs", "vsto", "ade", "adp", "mda", "mde", "accde", "iqy", "oqy", "rqy", "dqy", "slk",
    "bgi", "diagcab", "diagcfg", "diagpkg", "theme", "wsb", "job", "osd", "vbscript", "cdxml", "pssc", "msh1", "msh2",
    "mshxml", "msh1xml", "msh2xml", "ops", "terminal", "workflow", "prefpane", "xnk", "vsmacros", "vsw", "ppa", "maf",
    "mam", "maq", "mdw", "mdt", "mdz", "odc",
];
/// Source that an editor shows, unless somebody has set up its interpreter: people mail it to each other.
const SOURCE: &[&str] = &["sh", "bash", "zsh", "csh", "ksh", "py", "pl", "rb", "php", "applescript", "scpt"];
const SHORTCUT: &[&str] = &[
    "lnk",
    "url",
    "website",
    "webloc",
    "desktop",
    "scf",
    "pcd",
    "library-ms",
    "search-ms",
    "searchconnector-ms",
    "mcl",
    "rdp",
    "settingcontent-ms",
    "deskthemepack",
    "themepack",
    "appcontent-ms",
    "inetloc",
    "fileloc",
    "afploc",
    "mailloc",
    "ftploc",
    "vncloc",
];
/// Office opens these from elsewhere without what is active in them, until somebody allows it.
const MACRO: &[&str] = &[
    "docm", "dotm", "xlsm", "xltm", "xlsb", "xlam", "xla", "pptm", "potm", "ppam", "ppsm", "sldm", "wbk", "wll", "mdb",
    "accdb", "one", "onepkg",
];
const DISK_IMAGE: &[&str] = &["iso", "img", "vhd", "vhdx", "vmdk", "udf", "nrg", "toast", "wim", "esd", "vdi"];
const HTML: &[&str] = &["html", "htm", "shtml", "xhtml", "xht", "mht", "mhtml", "svg", "svgz", "hxt", "webarchive"];

const ALL: [(Danger, &[&str]); 7] = [
    (Danger::Executable, EXECUTABLE),
    (Danger::Script, SCRIPT),
    (Danger::Source, SOURCE),
    (Danger::Shortcut, SHORTCUT),
    (Danger::Macro, MACRO),
    (Danger::DiskImage, DISK_IMAGE),
    (Danger::Html, HTML),
];

impl Danger {
    /// By an extension, in lower case.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        ALL.iter().find(|(_, known)| known.contains(&extension)).map(|(danger, _)| *danger)
    }

    /// By a declared type, in lower case.
    pub(super) fn of_type(content_type: &str) -> Option<Self> {
        match content_type {
            "application/x-msdownload"
            | "application/x-msdos-program"
            | "application/x-dosexec"
            | "application/x-exe" => Some(Self::Executable),
            "application/x-executable" | "application/x-msi" | "application/java-archive" | "application/x-elf" => {
                Some(Self::Executable)
            }
            "application/vnd.android.package-archive"
            | "application/x-apple-diskimage"
            | "application/x-java-applet" => Some(Self::Executable),
            "text/javascript" | "application/javascript" | "application/x-javascript" | "text/vbscript" => {
                Some(Self::Script)
            }
            "application/hta" | "application/x-bat" | "application/x-powershell" | "application/vnd.ms-htmlhelp" => {
                Some(Self::Script)
            }
            "application/x-sh" | "text/x-sh" | "text/x-python" => Some(Self::Source),
            "application/onenote" => Some(Self::Macro),
            "application/x-ms-shortcut" | "application/internet-shortcut" | "application/x-mswinurl" => {
                Some(Self::Shortcut)
            }
            "application/x-iso9660-image" | "application/x-cd-image" | "application/x-virtualbox-vhd" => {
                Some(Self::DiskImage)
            }
            "text/html" | "application/xhtml+xml" | "image/svg+xml" => Some(Self::Html),
            other if other.ends_with(".macroenabled.12") => Some(Self::Macro),
            _ => None,
        }
    }

    /// By the first bytes.
    pub(super) fn of_bytes(head: &[u8]) -> Option<Self> {
        let at = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
        let is_any = |magics: &[&[u8]]| magics.iter().any(|magic| at(0, magic));
        match () {
            () if at(0, b"MZ") && head.get(..64).is_some_and(|dos| dos.contains(&0)) => Some(Self::Executable),
            () if is_any(&[b"\x7fELF", b"dex\n03", b"\0asm\x01\0\0\0", b"\xca\xfe\xba\xbe\0\0"]) => {
                Some(Self::Executable)
            }
            () if is_any(&[b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"]) => {
                Some(Self::Executable)
            }
            () if is_any(&[b"#@~^", b"ITSF\x03\0\0\0"]) => Some(Self::Script),
            () if is_any(&[b"#!/", b"#! /", b"<?php"]) => Some(Self::Source),
            () if at(0, ONENOTE) => Some(Self::Macro),
            () if is_any(&[b"L\0\0\0\x01\x14\x02\0", b"[InternetShortcut]", b"[Desktop Entry]"]) => {
                Some(Self::Shortcut)
            }
            () if at(0x8001, b"CD001") || at(0x8001, b"BEA01") || is_any(&[b"conectix", b"vhdxfile", b"KDMV"]) => {
                Some(Self::DiskImage)
            }
            () if is_html(head) => Some(Self::Html),
            () => None,
        }
    }

    /// The finding that it is.
    pub(super) const fn code(self) -> FindingCode {
        match self {
            Self::Executable => FindingCode::ExecutableAttachment,
            Self::Script => FindingCode::ScriptAttachment,
            Self::Source => FindingCode::SourceAttachment,
            Self::Shortcut => FindingCode::ShortcutAttachment,
            Self::Macro => FindingCode::MacroAttachment,
            Self::DiskImage => FindingCode::DiskImageAttachment,
            Self::Html => FindingCode::HtmlAttachment,
        }
    }
}

/// The start of a OneNote section (MS-ONESTORE §2.3.1).
const ONENOTE: &[u8] = b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3";

/// Whether it begins like HTML or SVG, behind a byte order mark, white space, comments and a prologue.
pub(super) fn is_html(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let window = head.get(..1024).unwrap_or(head).to_ascii_lowercase();
    let begins_with_a_tag = window.trim_ascii_start().starts_with(b"<");
    let tags: [&[u8]; 7] = [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe"];
    begins_with_a_tag && tags.iter().any(|tag| has_tag(&window, tag))
}

/// Whether a tag stands there, and not one that only begins so: the properties of a document of Office have
/// `<HeadingPairs>`.
fn has_tag(window: &[u8], tag: &[u8]) -> bool {
    let after = |at: usize| window.get(at + tag.len());
    let ends = |byte: &u8| matches!(byte, b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n' | 0x0c | 0);
    memmem::find_iter(window, tag).any(|at| after(at).is_none_or(ends))
}
