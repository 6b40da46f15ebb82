//! What happens to images that a reader's client would fetch.

use serde::{Deserialize, Serialize};
use url::Url;

use super::url::{decoded, encoded};

/// Where the original address stands in a [`ProxyUrl`].
const HOLE: &str = "{url}";
/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 512;

/// What happens to remote images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteImages {
    /// Their address is removed (and counted); their text stays.
    #[default]
    Block,
    /// They stay.
    Keep,
    /// They come through a proxy, which gets the address.
    ProxyUrl(ProxyUrl),
}

/// The address of an image proxy, with `{url}` where the address of the image goes, percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyUrl {
    before: String,
    after: String,
}

impl ProxyUrl {
    /// What it looks like, for error texts.
    pub const EXPECTED: &str =
        "an https:// address with {url} in it once, such as \"https://images.example.org/?url={url}\"";

    /// Reads a template.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(HOLE)?;
        let is_plain =
            text.len() <= MAX_TEMPLATE && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>`\\".contains(&b));
        let url = Url::parse(&format!("{before}x{after}")).ok()?;
        let has_host = url.scheme() == "https" && url.host().is_some();
        // The hole is behind the host: what a mail says cannot choose where the request goes.
        let is_behind = before.get("https://".len()..).is_some_and(|rest| rest.contains('/'));
        let fits = is_plain && has_host && is_behind && !after.contains(HOLE) && before.starts_with("https://");
        fits.then(|| Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// Where the proxy serves the image of an address.
    pub(super) fn of(&self, address: &str) -> String {
        format!("{}{}{}", self.before, encoded(address), self.after)
    }

    /// The image's own address, if this is one of the proxy's.
    pub(super) fn original(&self, address: &str) -> Option<String> {
        let original = decoded(address.strip_prefix(&self.before)?.strip_suffix(&self.after)?)?;
        Url::parse(&original).is_ok_and(|url| matches!(url.scheme(), "http" | "https")).then_some(original)
    }
}

impl TryFrom<String> for ProxyUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).ok_or(Self::EXPECTED)
    }
}

impl From<ProxyUrl> for String {
    fn from(proxy: ProxyUrl) -> Self {
        format!("{}{HOLE}{}", proxy.before, proxy.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_leads_to_its_own_host() {
        for (template, ok) in [
            ("https://img.example/?u={url}", true),
            ("https://img.example/p/{url}/x", true),
            ("http://img.example/?u={url}", false),
            ("https://img.example/", false),
            ("https://{url}/", false),
            ("https://{url}", false),
            ("https://img.example/{url}{url}", false),
            ("https://img.example/\"{url}", false),
            ("javascript:{url}", false),
        ] {
            assert_eq!(ProxyUrl::parse(template).is_some(), ok, "{template}");
        }
    }

    #[test]
    fn a_proxied_address_is_known_and_not_proxied_again() {
        let proxy = ProxyUrl::parse("https://img.example/?u={url}&v=1").unwrap();
        let proxied = proxy.of("http://a.example/x?y=1&z=\u{e9}");
        assert_eq!(proxied, "https://img.example/?u=http%3A%2F%2Fa.example%2Fx%3Fy%3D1%26z%3D%C3%A9&v=1");
        assert_eq!(proxy.original(&proxied).as_deref(), Some("http://a.example/x?y=1&z=\u{e9}"));
        for forged in [
            "https://img.example/?u=javascript%3Ax&v=1",
            "https://img.example/?u=http://a&v=1",
            "https://img.example/admin",
        ] {
            assert_eq!(proxy.original(forged), None, "{forged}");
        }
        assert_eq!(ProxyUrl::try_from(String::from(proxy.clone())), Ok(proxy));
    }
}
