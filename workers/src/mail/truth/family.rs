//! Whether extension, declared type and first bytes speak of the same format.

/// Formats that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Pdf,
    Zip,
    Ole,
    Rtf,
    Html,
    Gzip,
    Image(&'static str),
    Text,
    /// Known by its bytes, and none of those that a name below may stand for.
    Other,
}

use Family::{Gzip, Html, Image, Ole, Pdf, Rtf, Text, Zip};

/// Whether two of the three contradict each other. What says nothing contradicts nothing, but bytes that nobody knows are
/// none of the formats here.
pub(super) fn is_contradictory(extension: Option<&str>, content_type: &str, found: Option<Family>) -> bool {
    let named = extension.and_then(of_extension);
    let declared = of_type(content_type);
    let fits = |claimed: &'static [Family]| found.is_some_and(|found| claimed.contains(&found));
    let disagree = |one: &[Family], other: &[Family]| !one.iter().any(|family| other.contains(family));
    named.is_some_and(|named| !fits(named))
        || declared.is_some_and(|declared| !fits(declared))
        || named.zip(declared).is_some_and(|(named, declared)| disagree(named, declared))
}

/// Whether a file of this extension is a document, a picture or a text, by its bytes as well.
pub(super) fn is_harmless(extension: &str, found: Option<Family>) -> bool {
    let claimed = of_extension(extension).unwrap_or_default();
    found.filter(|found| claimed.contains(found)).is_some_and(|found| match found {
        Pdf | Ole | Rtf | Image(_) | Text => true,
        // A bare archive may be a program of Java.
        Zip => claimed.contains(&Ole),
        Html | Gzip | Family::Other => false,
    })
}

/// What a file of this extension may be: office programs save old formats as RTF, HTML or OOXML all the same.
fn of_extension(extension: &str) -> Option<&'static [Family]> {
    Some(match extension {
        "pdf" => &[Pdf],
        "docx" | "xlsx" | "pptx" | "docm" | "xlsm" | "pptm" | "dotx" | "xltx" | "ppsx" => &[Zip, Ole],
        "zip" | "jar" | "odt" | "ods" | "odp" | "epub" | "apk" | "kmz" => &[Zip],
        "doc" | "xls" | "ppt" | "dot" | "xlt" | "pps" => &[Ole, Zip, Rtf, Html, Text],
        "msg" | "msi" => &[Ole],
        "rtf" => &[Rtf],
        "gz" | "tgz" => &[Gzip],
        "png" => &[Image("png")],
        "jpg" | "jpeg" | "jpe" | "jfif" => &[Image("jpg")],
        "gif" => &[Image("gif")],
        "bmp" => &[Image("bmp")],
        "webp" => &[Image("webp")],
        "tif" | "tiff" => &[Image("tif")],
        "txt" | "csv" | "log" | "ics" | "vcf" | "md" | "json" => &[Text, Html],
        "html" | "htm" => &[Html, Text],
        _ => return None,
    })
}

fn of_type(content_type: &str) -> Option<&'static [Family]> {
    of_extension(match content_type {
        "application/pdf" => "pdf",
        "application/zip" | "application/x-zip-compressed" => "zip",
        "application/msword" | "application/vnd.ms-excel" | "application/vnd.ms-powerpoint" => "doc",
        "application/rtf" | "text/rtf" => "rtf",
        "application/gzip" | "application/x-gzip" => "gz",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/bmp" => "bmp",
        "image/webp" => "webp",
        "image/tiff" => "tif",
        "text/html" => "html",
        other if other.starts_with("application/vnd.openxmlformats-officedocument.") => "docx",
        _ => return None,
    })
}
