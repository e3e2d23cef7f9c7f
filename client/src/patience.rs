//! How often a busy server is asked again.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::sleep;

use crate::error::ClientError;

/// Longest wait before a request is sent again.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The attempts that one request has left.
pub(crate) struct Patience {
    retries: u32,
}

impl Patience {
    /// A request that may be sent again so many times.
    pub(crate) const fn new(retries: u32) -> Self {
        Self { retries }
    }

    /// Waits as long as a busy server says, if there are attempts left.
    ///
    /// # Errors
    /// The error itself, if it is another one or there are none.
    pub(crate) async fn wait(&mut self, error: ClientError) -> Result<(), ClientError> {
        let Some(secs) = error.busy() else {
            return Err(error);
        };
        let asked = Duration::from_secs(secs.into());
        if self.retries == 0 || asked > MAX_WAIT {
            return Err(error);
        }
        self.retries -= 1;
        // Spread over half a second more, so that clients don't come back at
        // once.
        let spread = Duration::from_millis(rand::rng().random_range(0..500));
        sleep(asked + spread).await;
        Ok(())
    }
}
