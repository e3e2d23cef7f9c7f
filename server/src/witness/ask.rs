//! One witness is asked.

use std::time::Duration;

use protocol::log::SignedCheckpoint;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::{Published, WitnessError};

/// Patience for a connection, and for an answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The type of an answer that states how much a witness has seen.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// Why a witness has not cosigned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// It can't be reached, or not in time.
    #[error("it can't be reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// It doesn't know the log.
    #[error(
        "it doesn't know the log: its operator must add the key that `sotto-server log key` prints (or there is no witness at the URL)"
    )]
    UnknownLog,
    /// It knows the log under another key.
    #[error(
        "it takes checkpoints of the log under another key: its operator must add the one that `sotto-server log key` prints"
    )]
    OtherKey,
    /// It has seen another log.
    #[error(
        "it refuses the proof: it has seen another log of this provider, as after snapshots/log was lost or published from twice"
    )]
    Inconsistent,
    /// It has seen more than there is, or something else.
    #[error(
        "it has seen {seen} entries and can't go on from there to the {size} of the log: it has seen another log of this provider, as after an older backup was restored"
    )]
    Ahead {
        /// What it says.
        seen: u64,
        /// What there is.
        size: u64,
    },
    /// Any other status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// An answer that says nothing.
    #[error("its answer is not one of a witness")]
    Malformed,
    /// No cosignature is by the key that is known for it.
    #[error("it cosigned with another key than the one in the file `witnesses`")]
    NoCosignature,
    /// The cosignature or the log.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

/// What asks; it follows no redirections and waits for nobody for long.
pub(super) fn client() -> Result<Client, WitnessError> {
    Client::builder()
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .build()
        .map_err(WitnessError::Client)
}

/// Lines with cosignatures, of a witness that has seen, it is believed, so many
/// entries. If it has seen another number it is asked once more.
pub(super) async fn ask(
    client: &Client,
    url: &Url,
    published: &Published,
    checkpoint: &SignedCheckpoint,
    seen: u64,
) -> Result<String, AskError> {
    let size = published.size();
    let post = async |seen: u64| -> Result<Response, AskError> {
        let body = published.request(checkpoint, seen)?;
        let sent = client.post(url.clone()).body(body).send().await;
        sent.map_err(unreachable)
    };
    let mut response = post(seen).await?;
    if response.status() == StatusCode::CONFLICT {
        let found = seen_by(response).await?;
        if found > size || found == seen {
            return Err(AskError::Ahead { seen: found, size });
        }
        response = post(found).await?;
        if response.status() == StatusCode::CONFLICT {
            let seen = seen_by(response).await?;
            return Err(AskError::Ahead { seen, size });
        }
    }
    match response.status() {
        StatusCode::OK => text(response).await,
        StatusCode::NOT_FOUND => Err(AskError::UnknownLog),
        StatusCode::FORBIDDEN => Err(AskError::OtherKey),
        StatusCode::UNPROCESSABLE_ENTITY => Err(AskError::Inconsistent),
        other => Err(AskError::Status(other.as_u16())),
    }
}

/// How many entries a witness says that it has seen.
async fn seen_by(response: Response) -> Result<u64, AskError> {
    let stated = response.headers().get(CONTENT_TYPE);
    if stated.is_none_or(|stated| stated != SIZE_TYPE) {
        return Err(AskError::Malformed);
    }
    let text = text(response).await?;
    let digits = text.strip_suffix('\n').ok_or(AskError::Malformed)?;
    let seen: u64 = digits.parse().map_err(|_| AskError::Malformed)?;
    match seen.to_string() == digits {
        true => Ok(seen),
        false => Err(AskError::Malformed),
    }
}

async fn text(mut response: Response) -> Result<String, AskError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(AskError::Malformed);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| AskError::Malformed)
}

fn unreachable(error: reqwest::Error) -> AskError {
    AskError::Unreachable(error.without_url())
}
