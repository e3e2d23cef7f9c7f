//! What looks like a provider that goes back, and may be a server that is behind.

use std::time::Duration;

use super::{AuditError, AuditProgress, Listener};

/// The looks that an audit has left before it believes what it sees.
pub(super) struct Lag {
    /// One, after which manifest and log are both of after a publication.
    at_once: bool,
    /// One, by when a server that was behind the others has followed them.
    later: Option<Duration>,
}

impl Lag {
    /// Servers of the provider may be behind the others for so long.
    pub(super) const fn new(longest: Duration) -> Self {
        Self {
            at_once: true,
            later: Some(longest),
        }
    }

    /// Waits until it is worth looking again.
    ///
    /// # Errors
    /// The error itself, if it is another one or there are no looks left.
    pub(super) async fn wait(
        &mut self,
        error: AuditError,
        tell: Listener<'_>,
    ) -> Result<(), AuditError> {
        if error.is_behind() && self.at_once {
            self.at_once = false;
            return Ok(());
        }
        match self.later.take_if(|_| error.is_rollback()) {
            Some(longest) => {
                tell(AuditProgress {
                    step: "waiting",
                    done: 0,
                    total: 0,
                });
                tokio::time::sleep(longest).await;
                self.at_once = true;
                Ok(())
            }
            None => Err(error),
        }
    }
}
