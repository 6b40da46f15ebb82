//! A real clamd of the scenario's own: see [`shared::clamav::testing`].

use shared::clamav::testing::{Options, TestClamd};

/// A clamd that knows EICAR and ends when dropped.
pub struct Clamd(TestClamd);

impl Clamd {
    /// Starts a clamd and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed (with the command that installs it) or does not start.
    pub async fn start() -> Self {
        let settings = ["MaxThreads 8", "MaxFileSize 100M", "MaxScanSize 400M"].map(str::to_owned).to_vec();
        let clamd = TestClamd::start(Options { settings, ..Options::default() }).await;
        Self(clamd.unwrap_or_else(|error| panic!("{error}")))
    }

    /// What to configure: `unix:/path`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.0.endpoint_unix().to_string()
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
}
