//! The recipient's side of one provider: publish, remove, ask what is held.
//!
//! Nothing that the provider says is believed for itself. What it holds is
//! shown with signatures and [reviewed](review()) against what was published;
//! a receipt is a claim that its audit log can be held to.

mod advice;
mod audit;
mod draft;
mod expected;
mod published;
mod review;
mod sequence;

use std::time::Duration;

use protocol::bundle::Bundle;
use protocol::cose::{KeyId, SigningKey, VerifyingKey};
use protocol::credential::SignedCredential;
use protocol::inquiry::{Inquiry, InquiryError};
use protocol::manifest::ManifestError;
use protocol::removal::SignedRelease;
use protocol::time::UnixTime;
use protocol::wire::{
    self, HolderMessageError, HolderProof, Holdings, Receipt, RemovalRequest, media,
};
use reqwest::Method;
use reqwest::header::HeaderValue;

pub use advice::Refusal;
pub use audit::{AuditPage, receipt_head};
pub use draft::{DEFAULT_VALIDITY_SECS, Draft, DraftError, Expiry, mapping_id};
pub use expected::{after_publication, after_removal, known_before};
pub use review::{Absence, CredentialStanding, Held, Missing, Review, Standing, review};
pub use sequence::{SeqError, next_seq, now_millis};

use crate::config::{ApiKey, ClientConfig, Endpoint, TlsRoots};
use crate::error::ClientError;
use crate::patience::Patience;
use crate::transport::{Content, Exchange, Transport, bearer, secret_header};

/// Most bytes of a receipt.
const RECEIPT_BYTES_MAX: usize = 1024;

/// Where a provider is that a recipient publishes at.
#[derive(Clone, Debug)]
pub struct RecipientConfig {
    /// Base URL, `https` only.
    pub server: String,
    /// The DP's key: inquiries name it, so that no other DP can use them.
    pub dp_key: VerifyingKey,
    /// Who may vouch for the server's TLS certificate.
    pub roots: TlsRoots,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest time for one request with its answer.
    pub request_timeout: Duration,
    /// Most times that a request is sent again because the server was busy.
    /// Every request of a recipient may be: a statement seen again changes
    /// nothing.
    pub busy_retries: u32,
}

impl From<&ClientConfig> for RecipientConfig {
    fn from(config: &ClientConfig) -> Self {
        Self {
            server: config.server.clone(),
            dp_key: config.dp_key.clone(),
            roots: config.roots.clone(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            busy_retries: config.busy_retries,
        }
    }
}

/// A recipient's connection to one provider.
pub struct Recipient {
    transport: Transport,
    provider: KeyId,
    provider_key: VerifyingKey,
    busy_retries: u32,
}

/// Why a recipient's request came to nothing. No variant holds an identifier
/// or a key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The provider could not be asked, or its answer is none of this API.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The provider refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The provider accepted, it says, but not in the form of a receipt.
    #[error(
        "{step}: the provider's receipt is malformed: ask what it holds to see whether it accepted"
    )]
    Receipt {
        /// What was asked for.
        step: &'static str,
    },
    /// The inquiry can't be made.
    #[error("inquiry: {0}")]
    Inquiry(#[from] InquiryError),
    /// What the provider says that it holds is malformed.
    #[error("what the provider holds: {0}")]
    Holdings(#[from] HolderMessageError),
    /// The provider shows what it holds about another identifier.
    #[error("the provider answered about another identifier than was asked: do not rely on it")]
    OtherSubject,
    /// The provider's audit log is malformed, or its entries don't follow one
    /// another.
    #[error("the provider's audit log can't be believed: {0}")]
    Audit(#[from] protocol::audit::AuditError),
    /// The provider's manifest can't be believed.
    #[error("the provider's manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The manifest states another audit log than the receipt.
    #[error("the provider's manifest and receipt state different audit logs: do not rely on it")]
    OtherLog,
    /// The provider has not published it yet.
    #[error(
        "accepted, but not published within {patience:?}: lookups see it from a later snapshot on"
    )]
    NotPublished {
        /// How long it was waited for.
        patience: Duration,
    },
    /// A page of the audit log is longer than one can be.
    #[error("the provider sent {found} entries of its audit log at once, expected at most {max}")]
    AuditPage {
        /// Most entries.
        max: usize,
        /// Entries sent.
        found: usize,
    },
}

impl Recipient {
    /// A connection that is made when it is first needed.
    ///
    /// # Errors
    /// [`ClientError::ServerUrl`], [`ClientError::TlsRoots`],
    /// [`ClientError::TlsSetup`].
    pub fn new(config: &RecipientConfig) -> Result<Self, ClientError> {
        let endpoint = Endpoint {
            server: &config.server,
            roots: &config.roots,
            certificate: None,
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
        };
        Ok(Self {
            transport: Transport::new(endpoint, None)?,
            provider: config.dp_key.key_id(),
            provider_key: config.dp_key.clone(),
            busy_retries: config.busy_retries,
        })
    }

    /// The provider's key.
    #[must_use]
    pub const fn provider(&self) -> KeyId {
        self.provider
    }

    /// Publishes a credential with mappings that are new; what the provider
    /// holds beside them stays. Without mappings the credential alone is
    /// renewed.
    ///
    /// # Errors
    /// [`RecipientError::Client`], [`RecipientError::Refused`],
    /// [`RecipientError::Receipt`].
    pub async fn publish(&self, bundle: &Bundle) -> Result<Receipt, RecipientError> {
        let call = Submission {
            step: "publication",
            path: wire::MAPPINGS_PATH,
            method: Method::PUT,
            media_type: media::CBOR,
        };
        self.submit(call, bundle.encode(), None).await
    }

    /// Removes one mapping or all.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn remove(&self, request: &RemovalRequest) -> Result<Receipt, RecipientError> {
        let call = Submission {
            step: "removal",
            path: wire::MAPPINGS_PATH,
            method: Method::DELETE,
            media_type: media::CBOR,
        };
        self.submit(call, &request.encode(), None).await
    }

    /// Hands a CSIP's release in; anyone may who has it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn release(&self, release: &SignedRelease) -> Result<Receipt, RecipientError> {
        let call = Submission {
            step: "release",
            path: wire::RELEASES_PATH,
            method: Method::PUT,
            media_type: media::COSE,
        };
        self.submit(call, release.as_bytes(), None).await
    }

    /// Publishes a signed audience record, on the account of an API key.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn put_audience_record(
        &self,
        record: &[u8],
        api_key: &ApiKey,
    ) -> Result<Receipt, RecipientError> {
        let call = Submission {
            step: "audience record",
            path: wire::AUDIENCE_RECORDS_PATH,
            method: Method::PUT,
            media_type: media::COSE,
        };
        self.submit(call, record, bearer(api_key)).await
    }

    /// A proof for [`holdings`](Self::holdings) at this provider, good for
    /// [`FRESHNESS_SECS`](protocol::inquiry::FRESHNESS_SECS).
    ///
    /// # Errors
    /// [`RecipientError::Inquiry`].
    pub fn prove(
        &self,
        credential: &SignedCredential,
        key: &SigningKey,
    ) -> Result<HolderProof, RecipientError> {
        let inquiry = Inquiry {
            subject: credential.unverified().subject.clone(),
            provider: self.provider,
            issued_at: UnixTime::now(),
        };
        Ok(HolderProof {
            credential: credential.clone(),
            inquiry: inquiry.sign(key)?,
        })
    }

    /// What the provider says that it holds about the identifier of the proof:
    /// well-formed and about that identifier, but for [`review()`] to believe.
    ///
    /// # Errors
    /// [`RecipientError::Client`], [`RecipientError::Refused`],
    /// [`RecipientError::Holdings`], [`RecipientError::OtherSubject`].
    pub async fn holdings(&self, proof: &HolderProof) -> Result<Holdings, RecipientError> {
        let exchange = Exchange {
            step: "inquiry",
            path: wire::MAPPINGS_PATH,
            accept: media::CBOR,
            max_bytes: Holdings::BYTES_MAX,
        };
        // `None` can't happen: base64url is allowed in a header.
        let authorization = secret_header(&proof.to_authorization());
        let answer = self.ask(exchange, Method::GET, authorization, None).await?;
        let holdings = Holdings::decode(&answer)?;
        let subject = &proof.credential.unverified().subject;
        let same_subject = holdings.bundle.as_ref().is_none_or(|bundle| {
            let mut mappings = bundle.mappings().iter();
            bundle.credential().unverified().subject == *subject
                && mappings.all(|mapping| mapping.unverified().subject == *subject)
        });
        if same_subject {
            Ok(holdings)
        } else {
            Err(RecipientError::OtherSubject)
        }
    }

    /// The entries of the audit log from index `from` on, as many as the
    /// provider sends at once; none if there are none. They follow one another,
    /// and one from 0 on begins the log.
    ///
    /// # Errors
    /// [`RecipientError::Client`], [`RecipientError::Refused`],
    /// [`RecipientError::Audit`], [`RecipientError::AuditPage`].
    pub async fn audit(&self, from: u64) -> Result<AuditPage, RecipientError> {
        let path = format!("{}?from={from}", wire::AUDIT_PATH);
        let exchange = Exchange {
            step: "audit log",
            path: &path,
            accept: media::CBOR_SEQUENCE,
            max_bytes: wire::AUDIT_ENTRIES_MAX * protocol::audit::MAX_ENTRY_BYTES,
        };
        let answer = self.ask(exchange, Method::GET, None, None).await?;
        AuditPage::decode(from, &answer)
    }

    async fn submit(
        &self,
        call: Submission,
        body: &[u8],
        authorization: Option<HeaderValue>,
    ) -> Result<Receipt, RecipientError> {
        let step = call.step;
        let exchange = Exchange {
            step,
            path: call.path,
            accept: media::JSON,
            max_bytes: RECEIPT_BYTES_MAX,
        };
        let content = Some((call.media_type, body));
        let answer = self
            .ask(exchange, call.method, authorization, content)
            .await?;
        let receipt: Receipt =
            serde_json::from_slice(&answer).map_err(|_| RecipientError::Receipt { step })?;
        match receipt_head(&receipt) {
            Some(_) => Ok(receipt),
            None => Err(RecipientError::Receipt { step }),
        }
    }

    /// One request, sent again while the server is busy.
    async fn ask(
        &self,
        exchange: Exchange<'_>,
        method: Method,
        authorization: Option<HeaderValue>,
        content: Option<(&'static str, &[u8])>,
    ) -> Result<Vec<u8>, RecipientError> {
        let mut patience = Patience::new(self.busy_retries);
        loop {
            let content = content.map(|(media_type, bytes)| Content {
                media_type,
                bytes: bytes.to_vec(),
            });
            let sent =
                self.transport
                    .send(exchange, method.clone(), authorization.as_ref(), content);
            match sent.await {
                Ok(answer) => return Ok(answer),
                Err(error) => match patience.wait(error).await {
                    Ok(()) => {}
                    Err(ClientError::Problem { step, problem }) => {
                        return Err(Refusal::new(step, &problem).into());
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipient")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// What is handed in, and where.
struct Submission {
    step: &'static str,
    path: &'static str,
    method: Method,
    media_type: &'static str,
}

#[cfg(test)]
mod tests;
