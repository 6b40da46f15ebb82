//! The walk itself: what a content is, its members, and theirs.
//!
//! It goes on after an obstacle, so that an encrypted member does not hide a damaged one from a policy that lets
//! encrypted ones pass. Only a limit ends it: what lies behind is unknown then.

use super::budget::Budget;
use super::kind::{HEAD, Kind};
use super::limits::WalkLimits;
use super::obstacle::{Class, Code, MAX_PATH, Noticed, Obstacle, Walked};
use super::sniff::Sniffer;
use super::{carrier, gzip, mail, ole, pdf, rar, rtf, seven_zip, tar, tnef, zip};
use crate::mail::model::FindingCode;
use crate::mail::names::{cut, visible};
use crate::mail::truth::{is_document, last_component, of_member};

/// Opens a content and everything in it, within the limits. `kind` is what it is opened as: [`Kind::Mail`] by its name,
/// what else its bytes say for themselves. `name` is that of the content, or nothing.
pub fn walk(content: &[u8], kind: Option<Kind>, name: &str, limits: &WalkLimits) -> Walked {
    let mut walker = Walker {
        budget: Budget::new(limits, content.len() as u64),
        path: Vec::new(),
        names: vec![name.as_bytes().to_vec()],
        kind: Kind::Plain,
        is_document: false,
        obstacles: Vec::new(),
        noticed: Vec::new(),
    };
    // A limit that ended it is among the obstacles.
    let _ended = walker.content_as(content, kind == Some(Kind::Mail));
    let (members, expanded) = walker.budget.used();
    Walked { obstacles: walker.obstacles, noticed: walker.noticed, members, expanded }
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walker<'l> {
    pub(super) budget: Budget<'l>,
    /// The names that lead to where it is, to show.
    path: Vec<String>,
    /// Every name of where it is, whole: readers may see any of them.
    names: Vec<Vec<u8>>,
    /// The innermost container that it is in.
    kind: Kind,
    /// Whether that is a document of Office, by all its names: its pictures in SVG are no pages that anybody opens.
    is_document: bool,
    obstacles: Vec<Obstacle>,
    noticed: Vec<Noticed>,
}

impl Walker<'_> {
    /// What it is in.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Every name of what it is in.
    pub(super) fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// Looks at a content whose bytes are counted already, as what its bytes and its names say that it is.
    ///
    /// # Errors
    /// The limit that ended the walk.
    pub(super) fn content(&mut self, bytes: &[u8]) -> Result<(), Code> {
        self.judge(bytes);
        let is_mail = self.names.iter().any(|name| mail::is_named(&last_component(name)));
        self.content_as(bytes, is_mail)
    }

    /// Judges a member as a file, by its names and its first bytes.
    fn judge(&mut self, bytes: &[u8]) {
        let mut codes = of_member(self.names.iter().map(Vec::as_slice), bytes.get(..HEAD).unwrap_or(bytes));
        if self.is_document {
            codes.remove(&FindingCode::HtmlAttachment);
        }
        self.notice(codes);
    }

    /// Notes what a member is: each code where it was first.
    pub(super) fn notice(&mut self, codes: impl IntoIterator<Item = FindingCode>) {
        for code in codes {
            if code.is_about_a_file() && self.noticed.iter().all(|known| known.code != code) {
                self.noticed.push(Noticed { code, kind: self.kind });
            }
        }
    }

    /// Judges a file of which only a name is known here.
    pub(super) fn notice_name(&mut self, name: &[u8]) {
        self.notice(of_member([name], b""));
    }

    /// The same, where it is known whether programs open it as a mail by its name.
    ///
    /// # Errors
    /// The limit that ended the walk.
    pub(super) fn content_as(&mut self, bytes: &[u8], is_mail: bool) -> Result<(), Code> {
        let mut sniffer = Sniffer::default();
        sniffer.push(bytes);
        let found = sniffer.finish();
        // Signatures that may stand anywhere in a text, and what begins no text.
        let is_open = matches!(found, None | Some(Kind::Mail | Kind::Pdf | Kind::Carrier));
        let Some(kind) = found.filter(|_| !(is_mail && is_open)).or(is_mail.then_some(Kind::Mail)) else {
            return Ok(());
        };
        let is_document = kind == Kind::Zip && self.names.iter().all(|name| is_document(&last_component(name)));
        let outer = (self.kind, self.is_document);
        (self.kind, self.is_document) = (kind, is_document);
        let agreed = if is_mail && !is_open { self.note(Code::Contradictory) } else { Ok(()) };
        let opened = agreed.and_then(|()| self.budget.enter()).and_then(|()| self.open(bytes));
        let noted = opened.or_else(|code| self.note(code));
        self.budget.leave();
        (self.kind, self.is_document) = outer;
        noted
    }

    fn open(&mut self, bytes: &[u8]) -> Result<(), Code> {
        match self.kind {
            Kind::Zip => zip::walk(self, bytes, zip::Around::Nothing),
            Kind::Gzip => gzip::walk(self, bytes),
            Kind::Tar => tar::walk(self, bytes),
            Kind::Ole => ole::walk(self, bytes),
            Kind::Tnef => tnef::walk(self, bytes),
            Kind::Mail => mail::walk(self, bytes),
            Kind::Rtf => rtf::walk(self, bytes),
            Kind::Pdf if pdf::is_encrypted(bytes) => Err(Code::Encrypted),
            Kind::SevenZip if seven_zip::is_encrypted(bytes) => Err(Code::Encrypted),
            Kind::Rar if rar::is_encrypted(bytes) => Err(Code::Encrypted),
            Kind::SevenZip | Kind::Rar | Kind::OtherArchive => Err(Code::NotOpened),
            // A PDF may carry an archive like any other content.
            Kind::Carrier | Kind::Pdf => carrier::walk(self, bytes),
            Kind::Plain => Ok(()),
        }
    }

    /// Looks at a member by its name: counts it, and notes what is in the way there.
    ///
    /// # Errors
    /// The limit that ended the walk.
    pub(super) fn member(&mut self, name: &[u8], look: impl FnOnce(&mut Self) -> Result<(), Code>) -> Result<(), Code> {
        self.named(vec![name.to_vec()], look)
    }

    /// The same, of a member that has several names; the first one is shown.
    ///
    /// # Errors
    /// The limit that ended the walk.
    pub(super) fn named(
        &mut self,
        names: Vec<Vec<u8>>,
        look: impl FnOnce(&mut Self) -> Result<(), Code>,
    ) -> Result<(), Code> {
        let name = names.first().map_or(&b""[..], Vec::as_slice);
        self.path.push(String::from_utf8_lossy(name.get(..MAX_PATH).unwrap_or(name)).into_owned());
        let outer = std::mem::replace(&mut self.names, names);
        let looked = self.budget.member().and_then(|()| look(self));
        if looked.is_err() {
            // What cannot be opened still has its names.
            self.judge(b"");
        }
        let noted = looked.or_else(|code| self.note(code));
        self.names = outer;
        self.path.pop();
        noted
    }

    /// Looks at bytes that were made for it, `len` of them: they are counted before, and held until it is done.
    pub(super) fn made(
        &mut self,
        len: u64,
        make: impl FnOnce() -> Result<Vec<u8>, Code>,
        look: impl FnOnce(&mut Self, &[u8]) -> Result<(), Code>,
    ) -> Result<(), Code> {
        self.budget.expand(len)?;
        self.budget.hold(len)?;
        let looked = make().and_then(|bytes| look(self, &bytes));
        self.budget.release(len);
        looked
    }

    /// Notes an obstacle where the walk is: the first of each class is kept.
    ///
    /// # Errors
    /// A limit: it ends the walk.
    pub(super) fn note(&mut self, code: Code) -> Result<(), Code> {
        if self.obstacles.iter().all(|known| known.code.class() != code.class()) {
            let named: Vec<&str> = self.path.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
            let path = named.join(" / ");
            let member = cut(&visible(&path).0, MAX_PATH).to_owned().into();
            self.obstacles.push(Obstacle { code, kind: self.kind, member });
        }
        if code.class() == Class::LimitsExceeded { Err(code) } else { Ok(()) }
    }
}
