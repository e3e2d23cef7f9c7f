//! How a holder gets a credential from a CSIP.

use std::time::Duration;

use protocol::cose::SigningKey;
use protocol::credential::{
    CredentialError, CredentialRequest, CredentialRequestError, Issuer, MAX_CREDENTIAL_BYTES,
    SignedCredential,
};
use protocol::csi::Csi;
use protocol::problem::ProblemType;
use protocol::time::UnixTime;
use protocol::wire::csip::{
    Code, CsipMessageError, MESSAGE_BYTES_MAX, VERIFICATIONS_PATH, VerificationStarted,
    verification_path,
};
use protocol::wire::media;

use crate::config::{Endpoint, TlsRoots};
use crate::error::ClientError;
use crate::transport::{Exchange, Transport};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// More than a CSIP's hook may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// A CSIP that issues credentials over HTTPS.
#[derive(Clone, Debug)]
pub struct CsipEndpoint {
    /// Base URL, `https` only, such as `https://csip.example:8445`.
    pub server: String,
    /// The name that it issues credentials under.
    pub issuer: Issuer,
    /// Who may vouch for its TLS certificate.
    pub roots: TlsRoots,
}

/// A code was sent to the identifier and is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeWanted {
    /// How many may be tried, this one included.
    pub attempts_left: u32,
    /// How long the code is good, in seconds from when it was sent.
    pub expires_in_seconds: u64,
}

/// Asks a CSIP for a credential for `key`, and `ask` for the code that it sends
/// to `subject`: again after a wrong one, as long as the CSIP takes more. `ask`
/// gives up by returning `None`.
///
/// The credential says what was asked for. Whether its issuer may speak for the
/// subject is for a trust list to say.
///
/// # Errors
/// [`RequestError`].
pub async fn request(
    csip: &CsipEndpoint,
    subject: &Csi,
    key: &SigningKey,
    mut ask: impl AsyncFnMut(CodeWanted) -> Option<Code>,
) -> Result<SignedCredential, RequestError> {
    let endpoint = Endpoint {
        server: &csip.server,
        roots: &csip.roots,
        certificate: None,
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: REQUEST_TIMEOUT,
    };
    let transport = Transport::new(endpoint, None)?;
    let request = CredentialRequest::sign(subject, &csip.issuer, key, UnixTime::now())?;
    let exchange = Exchange {
        step: "credential request",
        path: VERIFICATIONS_PATH,
        accept: media::JSON,
        max_bytes: MESSAGE_BYTES_MAX,
    };
    let started = transport
        .post(exchange, media::COSE, request.as_bytes().to_vec())
        .await?;
    let started = VerificationStarted::decode(&started).map_err(RequestError::Answer)?;
    let path = verification_path(&started.id);
    let exchange = Exchange {
        step: "code",
        path: &path,
        accept: media::COSE,
        max_bytes: MAX_CREDENTIAL_BYTES,
    };
    let mut attempts_left = started.attempts;
    loop {
        let wanted = CodeWanted {
            attempts_left,
            expires_in_seconds: started.expires_in_seconds,
        };
        let code = ask(wanted).await.ok_or(RequestError::GivenUp)?;
        match transport.post(exchange, media::JSON, code.encode()).await {
            Ok(credential) => return checked(&credential, csip, subject, key),
            Err(ClientError::Problem { problem, .. })
                if problem.kind == ProblemType::WrongCode && attempts_left > 1 =>
            {
                attempts_left -= 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The credential, if it says what was asked for.
fn checked(
    bytes: &[u8],
    csip: &CsipEndpoint,
    subject: &Csi,
    key: &SigningKey,
) -> Result<SignedCredential, RequestError> {
    let credential = SignedCredential::from_bytes(bytes)?;
    let claims = credential.unverified();
    let mismatch = |part| Err(RequestError::OtherCredential { part });
    if claims.subject != *subject {
        return mismatch("identifier");
    }
    if claims.holder != key.verifying_key() {
        return mismatch("key");
    }
    if claims.issuer != csip.issuer {
        return mismatch("issuer");
    }
    Ok(credential)
}

/// Why there is no credential. Holds no identifier, code or key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The CSIP can't be reached, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The request can't be signed.
    #[error(transparent)]
    Request(#[from] CredentialRequestError),
    /// The CSIP's answer to the request is malformed.
    #[error("answer: {0}")]
    Answer(#[source] CsipMessageError),
    /// What the CSIP sent is no credential.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It is a credential, but not the one asked for.
    #[error("the credential is for another {part} than was asked for")]
    OtherCredential {
        /// Which part differs.
        part: &'static str,
    },
    /// Nobody brought the code.
    #[error("no code was given")]
    GivenUp,
}

#[cfg(test)]
mod tests;
