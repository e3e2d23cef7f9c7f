//! Why a manifest was refused.

use crate::bucket::BucketError;
use crate::cbor::CborError;
use crate::cose::CoseError;
use crate::oprf::OprfError;
use crate::time::UnixTime;

/// Why a manifest was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not a signed object of the manifest's type.
    #[error("malformed manifest: {0}")]
    Envelope(#[source] CoseError),
    /// The signed payload is not the CBOR of a manifest.
    #[error("malformed manifest: {0}")]
    Payload(#[from] CborError),
    /// A number is larger than its field allows.
    #[error("malformed manifest: field {field} is out of range")]
    OutOfRange {
        /// The field's CBOR key.
        field: i64,
    },
    /// The OPRF key is not a valid element.
    #[error("malformed manifest: {0}")]
    OprfKey(#[source] OprfError),
    /// The DP key is not a valid key.
    #[error("malformed manifest: {0}")]
    DpKey(#[source] CoseError),
    /// The fields contradict one another.
    #[error("inconsistent manifest: {0}")]
    Inconsistent(#[from] Inconsistency),
    /// Signed by, or naming, a key other than the pinned one.
    #[error("the manifest is of another DP key than the pinned one")]
    ForeignKey,
    /// The signature does not verify under the pinned key.
    #[error("the manifest's signature does not verify")]
    Signature,
    /// Published later than the clock says it is now.
    #[error("the manifest is valid from {published_at} only: is this machine's clock right?")]
    NotYetValid {
        /// When it says it was published.
        published_at: UnixTime,
    },
    /// No longer valid: the DP has stopped publishing or an old manifest is
    /// served.
    #[error("the manifest expired at {expires_at}")]
    Expired {
        /// Until when it was valid.
        expires_at: UnixTime,
    },
    /// Older than a manifest that was accepted before.
    #[error("manifest {found} is older than {known}, which was accepted before")]
    Rollback {
        /// Sequence accepted before.
        known: u64,
        /// Sequence found.
        found: u64,
    },
    /// Another manifest than the accepted one with the same sequence, or a next
    /// one that doesn't follow it: the DP keeps two histories.
    #[error("manifest {found} contradicts manifest {known}, which was accepted before")]
    Fork {
        /// Sequence accepted before.
        known: u64,
        /// Sequence found.
        found: u64,
    },
    /// Of an earlier epoch of the OPRF key than a manifest that was accepted
    /// before.
    #[error("OPRF epoch {found} is older than {known}, which was accepted before")]
    OprfEpochRollback {
        /// Epoch accepted before.
        known: u64,
        /// Epoch found.
        found: u64,
    },
    /// Another OPRF key than the one accepted before for the same epoch: the DP
    /// may have a key for each client.
    #[error("another OPRF key of epoch {epoch} than the one that was accepted before")]
    OprfKeyChanged {
        /// The epoch.
        epoch: u64,
    },
}

/// A rule between a manifest's fields that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// It expires before it is published, or after the last representable time.
    #[error("it expires before it is published, or never")]
    Lifetime,
    /// Sequences start at 1, and exactly that one has no predecessor.
    #[error("the first manifest alone has no predecessor and the sequence 1")]
    Chain,
    /// The parameter set's name has other characters than it may.
    #[error("not a name of a parameter set")]
    ParameterSetName,
    /// The bound on failures is not below one.
    #[error("a failure bound of 2^{found}")]
    FailureBound {
        /// Its binary logarithm.
        found: i16,
    },
    /// There is no bucket layout of that shape.
    #[error("no such bucket layout: {0}")]
    Layout(#[source] BucketError),
    /// The number of groups is not that for the number of records.
    #[error("so many records have {expected} groups, not {found}")]
    Groups {
        /// Groups for that many records.
        expected: u64,
        /// Groups stated.
        found: u64,
    },
    /// The snapshot id does not follow from digests and parameters.
    #[error("the snapshot id does not follow from the digests")]
    Snapshot,
}
