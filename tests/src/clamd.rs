//! A real clamd of the scenario's own, with the configuration that we ship: see [`shared::clamav::testing`].

use std::path::PathBuf;

use jiff::Timestamp;
use shared::clamav::testing::{Options, TestClamd};

/// A clamd that knows EICAR and ends when dropped.
pub struct Clamd(TestClamd);

impl Clamd {
    /// Starts a clamd and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed (with the command that installs it) or does not start.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts a clamd with other settings or signatures.
    ///
    /// # Panics
    /// As [`Clamd::start`].
    pub async fn with(options: Options) -> Self {
        Self(TestClamd::start(options).await.unwrap_or_else(|error| panic!("{error}")))
    }

    /// What to configure: `unix:/path`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.0.endpoint_unix().to_string()
    }

    /// The same over TCP: `tcp:127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint_tcp(&self) -> String {
        self.0.endpoint_tcp().to_string()
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// Kills it, as a crash would.
    ///
    /// # Panics
    /// When the process cannot be killed.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Starts it again, on the same socket.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.0.restart().await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops it where it is.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.0.pause().unwrap();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        self.0.resume().unwrap();
    }

    /// Gives it a database of that version, built now, which is not loaded yet. Returns the folder that it is in.
    ///
    /// # Panics
    /// When its files refuse.
    pub fn fetch(&mut self, version: u32) -> PathBuf {
        self.0.fetch(version, Timestamp::now()).unwrap();
        self.0.database()
    }

    /// Gives it a database of that version, built now, and has it loaded. More signature files may come with it.
    ///
    /// # Panics
    /// When it does not take it.
    pub async fn update(&mut self, version: u32, signatures: &[(&str, &str)]) {
        let more = signatures.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned()));
        self.0.learn(more);
        self.0.update(version, Timestamp::now()).await.unwrap_or_else(|error| panic!("{error}"));
    }
}
