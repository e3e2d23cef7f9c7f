//! Why a part of a log was refused.

/// Why a note, checkpoint, tile or bundle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The DP's key is not Ed25519, which logs are signed with.
    #[error("a log is signed with an Ed25519 key, which this provider's is not")]
    Algorithm,
    /// Not the form of a signed note.
    #[error("malformed signed note")]
    Note,
    /// Not a key in the form `name+id+key`, or of another algorithm.
    #[error("not a key of a log or witness: expected name+id+key")]
    Key,
    /// The text of the note is not a checkpoint.
    #[error("malformed checkpoint")]
    Checkpoint,
    /// The checkpoint is of another log.
    #[error("the checkpoint is of another log than this provider's")]
    Origin,
    /// The log has not signed the checkpoint.
    #[error("the checkpoint is not signed by the provider")]
    Unsigned,
    /// A signature by a known key does not verify.
    #[error("a signature of the checkpoint does not verify")]
    Signature,
    /// Not the path of a tile or bundle.
    #[error("not the path of a tile")]
    Path,
    /// A tile or bundle of another length or form than its path says.
    #[error("malformed tile")]
    Tile,
}

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The entry or the earlier tree is beyond the end of the tree.
    #[error("the tree ends before")]
    Range,
    /// A hash that the proof needs is missing.
    #[error("a hash of the proof is missing")]
    Missing,
    /// The proof has another number of hashes than its tree requires.
    #[error("the proof has another number of hashes than its tree requires")]
    Length,
    /// The hashes don't lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
}
