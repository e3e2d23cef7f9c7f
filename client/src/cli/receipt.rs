//! What a provider did with a statement.

use std::time::Duration;

use client::recipient::Recipient;
use protocol::wire::Receipt;

use super::Failure;

/// Longest wait: longer than most providers take between two snapshots.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);

/// Whether to wait until lookups see it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct WaitArgs {
    /// Wait until lookups see it: until the provider has published a snapshot
    /// that takes it into account, for two hours at most.
    #[arg(long)]
    wait: bool,
}

impl WaitArgs {
    /// Says on standard error what was done, and waits if that is wanted.
    ///
    /// # Errors
    /// [`Failure`], if lookups don't see it in time.
    pub(super) async fn report(
        self,
        recipient: &Recipient,
        receipt: &Receipt,
    ) -> Result<(), Failure> {
        let done = match (receipt.changed, self.wait) {
            (true, true) => "accepted",
            (true, false) => "accepted; lookups see it from the provider's next snapshot on",
            (false, _) => "the provider had it already",
        };
        eprintln!(
            "sotto: {done} (its audit log has {} entries now)",
            receipt.audit_entries
        );
        if self.wait {
            let manifest = recipient.published(receipt, PATIENCE).await?;
            eprintln!(
                "sotto: lookups see it from snapshot {} on",
                manifest.sequence
            );
        }
        Ok(())
    }
}
