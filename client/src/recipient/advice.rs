//! What to do when a provider refuses.

use protocol::problem::{Problem, ProblemType};

/// A provider's refusal, in its words without anything that moves a cursor,
/// and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: the provider refused: {words}. {}", advice(*.kind))]
pub struct Refusal {
    /// What was asked for.
    pub step: &'static str,
    /// What went wrong.
    pub kind: ProblemType,
    words: String,
}

impl Refusal {
    pub(super) fn new(step: &'static str, problem: &Problem) -> Self {
        let mut problem = problem.clone();
        let detail = problem.detail.take();
        let mut words = problem.to_string();
        if let Some(detail) = detail {
            words += &format!(": {}", detail.escape_debug());
        }
        Self {
            step,
            kind: problem.kind,
            words,
        }
    }
}

/// What a recipient does about a problem.
fn advice(kind: ProblemType) -> &'static str {
    match kind {
        ProblemType::Untrusted => {
            "Get a new credential if yours has expired; else ask the provider whether it \
             trusts your CSIP for this identifier"
        }
        ProblemType::Superseded => {
            "Ask what the provider holds: a newer statement or credential is there, perhaps \
             from another device. If yours is to count, publish it again under a current \
             credential"
        }
        ProblemType::Equivocation => {
            "Two devices have signed different statements with the same number: publish again"
        }
        ProblemType::PublisherFull => {
            "Remove what is no longer needed, or ask the provider for a higher quota"
        }
        ProblemType::UnprocessableObject => {
            "Check this device's clock and what was to be published, then sign it again"
        }
        ProblemType::Unauthorized => {
            "Check the API key if one was needed, this device's clock, and that the \
             provider's key in your settings is its own"
        }
        ProblemType::PayloadTooLarge => "Publish fewer or smaller mappings",
        ProblemType::MalformedRequest
        | ProblemType::NotFound
        | ProblemType::MethodNotAllowed
        | ProblemType::UnsupportedMediaType => {
            "Check the server's address; provider and client may be of different versions"
        }
        ProblemType::RequestTimeout
        | ProblemType::QuotaExceeded
        | ProblemType::TooManyRequests
        | ProblemType::Overloaded
        | ProblemType::NotReady => "Try again later",
        ProblemType::Internal => "Try again later, and tell the provider if it lasts",
        ProblemType::WrongCode
        | ProblemType::OprfEpochUnknown
        | ProblemType::SnapshotGone
        | ProblemType::VerificationEnded
        | ProblemType::UnprocessableQuery
        | ProblemType::UnprocessableTokenRequest => {
            "That is no answer to this request: check the server's address"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do_and_move_no_cursor() {
        for kind in ProblemType::ALL {
            let problem = Problem::new(kind).with_detail("\u{1b}[2Jgone");
            let text = Refusal::new("removal", &problem).to_string();
            assert!(
                text.starts_with("removal: the provider refused: "),
                "{text}"
            );
            assert!(text.contains(kind.title()), "{text}");
            assert!(text.ends_with(advice(kind)), "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }
}
