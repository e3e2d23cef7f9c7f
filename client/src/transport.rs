//! HTTP over TLS 1.3 to one provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::problem::{PROBLEM_BYTES_MAX, Problem, ProblemType};
use protocol::pseudonym::Pseudonym;
use protocol::time::UnixTime;
use protocol::wire::{SENDER_HEADER, media};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Identity, Method, RequestBuilder, Response, Url, tls};
use zeroize::Zeroizing;

use crate::config::{ApiKey, Endpoint, TlsRoots};
use crate::error::ClientError;

/// Longest time for a download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// What went over the wire so far: bodies, without the headers of HTTP and TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub requests: u64,
    /// Bytes of request bodies.
    pub sent: u64,
    /// Bytes of answers.
    pub received: u64,
}

impl Traffic {
    /// What went over the wire since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
        }
    }
}

/// A connection pool to one provider.
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
    sender: Option<HeaderValue>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What is asked for, and what may come back.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// In words, for errors.
    pub(crate) step: &'static str,
    /// Path, and query if there is one.
    pub(crate) path: &'a str,
    /// Media type of the answer.
    pub(crate) accept: &'static str,
    /// Most bytes of the answer.
    pub(crate) max_bytes: usize,
}

/// A body that is sent, and its media type.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Transport {
    /// A pool that has not connected yet; `api_key` authorises what is
    /// [posted](Self::post).
    ///
    /// # Errors
    /// [`ClientError::ServerUrl`], [`ClientError::TlsRoots`],
    /// [`ClientError::ClientCertificate`], [`ClientError::TlsSetup`].
    pub(crate) fn new(
        endpoint: Endpoint<'_>,
        api_key: Option<&ApiKey>,
    ) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .tls_version_min(tls::Version::TLS_1_3)
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(endpoint.connect_timeout)
            .timeout(endpoint.request_timeout);
        if let TlsRoots::Only(pem) = endpoint.roots {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(|_| ClientError::TlsRoots)?;
            if certificates.is_empty() {
                return Err(ClientError::TlsRoots);
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(certificate) = endpoint.certificate {
            let identity = Identity::from_pem(certificate.pem())
                .map_err(|_| ClientError::ClientCertificate)?;
            builder = builder.identity(identity);
        }
        let http = builder
            .build()
            .map_err(|error| ClientError::TlsSetup(Arc::new(error)))?;
        Ok(Self {
            http,
            base: base_url(endpoint.server)?,
            authorization: api_key.and_then(bearer),
            sender: None,
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        })
    }

    /// The same, naming the end sender in what is [posted](Self::post).
    pub(crate) fn with_sender(mut self, sender: Option<&Pseudonym>) -> Self {
        self.sender = sender.and_then(|sender| secret_header(sender.as_str()));
        self
    }

    /// What went over the wire so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    /// `GET`, without authorisation.
    ///
    /// # Errors
    /// [`ClientError::Transport`], [`ClientError::Problem`],
    /// [`ClientError::Status`], [`ClientError::BodyTooLong`].
    pub(crate) async fn get(&self, exchange: Exchange<'_>) -> Result<Vec<u8>, ClientError> {
        self.send(exchange, Method::GET, None, None).await
    }

    /// `GET`, with authorisation, of something large, which may take as long as it
    /// goes on; `tell` hears how many bytes there are.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn download(
        &self,
        exchange: Exchange<'_>,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, ClientError> {
        let request = self.request(exchange, Method::GET, self.authorization.as_ref());
        let request = request.timeout(DOWNLOAD_TIMEOUT);
        self.exchange_telling(exchange, request, tell).await
    }

    /// `POST` of `body` as `content_type`, with authorisation.
    ///
    /// # Errors
    /// As [`get`](Self::get), [`ClientError::QuotaUsedUp`],
    /// [`ClientError::QuotaTooSmall`].
    pub(crate) async fn post(
        &self,
        exchange: Exchange<'_>,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, ClientError> {
        let content = Content {
            media_type: content_type,
            bytes: body,
        };
        let mut request = self.request(exchange, Method::POST, self.authorization.as_ref());
        if let Some(sender) = &self.sender {
            request = request.header(SENDER_HEADER, sender.clone());
        }
        let answer = self
            .exchange(exchange, self.with_content(request, content))
            .await;
        answer.map_err(|error| match error {
            ClientError::Problem { step, problem }
                if problem.kind == ProblemType::QuotaExceeded =>
            {
                ClientError::quota(step, *problem, UnixTime::now())
            }
            other => other,
        })
    }

    /// Any method, with what authorises this request alone.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) async fn send(
        &self,
        exchange: Exchange<'_>,
        method: Method,
        authorization: Option<&HeaderValue>,
        content: Option<Content>,
    ) -> Result<Vec<u8>, ClientError> {
        let mut request = self.request(exchange, method, authorization);
        if let Some(content) = content {
            request = self.with_content(request, content);
        }
        self.exchange(exchange, request).await
    }

    fn request(
        &self,
        exchange: Exchange<'_>,
        method: Method,
        authorization: Option<&HeaderValue>,
    ) -> RequestBuilder {
        let request = self.http.request(method, self.url(exchange.path));
        match authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    fn with_content(&self, request: RequestBuilder, content: Content) -> RequestBuilder {
        let Content { media_type, bytes } = content;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        request.header(CONTENT_TYPE, media_type).body(bytes)
    }

    async fn exchange(
        &self,
        exchange: Exchange<'_>,
        request: RequestBuilder,
    ) -> Result<Vec<u8>, ClientError> {
        self.exchange_telling(exchange, request, &|_| ()).await
    }

    async fn exchange_telling(
        &self,
        exchange: Exchange<'_>,
        request: RequestBuilder,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, ClientError> {
        let Exchange {
            step,
            accept,
            max_bytes,
            ..
        } = exchange;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = request
            .header(ACCEPT, format!("{accept}, {}", media::PROBLEM))
            .send()
            .await
            .map_err(|error| unreachable(step, error))?;
        let status = response.status();
        if status.is_success() {
            return self.body(step, response, max_bytes, tell).await;
        }
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let refused = ClientError::Status {
            step,
            status: status.as_u16(),
        };
        let Ok(body) = self.body(step, response, PROBLEM_BYTES_MAX, &|_| ()).await else {
            return Err(refused);
        };
        match Problem::from_json(&body) {
            Ok(mut problem) if problem.status() == status.as_u16() => {
                problem.retry_after = problem.retry_after.or(retry_after);
                Err(ClientError::Problem {
                    step,
                    problem: Box::new(problem),
                })
            }
            _ => Err(refused),
        }
    }

    /// Reads a body and stops as soon as it is too long.
    async fn body(
        &self,
        step: &'static str,
        mut response: Response,
        max: usize,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, ClientError> {
        let too_long = ClientError::BodyTooLong { step, max };
        if response
            .content_length()
            .is_some_and(|length| length > max as u64)
        {
            return Err(too_long);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unreachable(step, error))?
        {
            self.received
                .fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > max {
                return Err(too_long);
            }
            body.extend_from_slice(&chunk);
            tell(body.len() as u64);
        }
        Ok(body)
    }

    fn url(&self, path_and_query: &str) -> Url {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}{path}"));
        url.set_query(query);
        url
    }
}

fn base_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|_| ClientError::ServerUrl)?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if url.scheme() == "https" && url.has_host() && plain {
        Ok(url)
    } else {
        Err(ClientError::ServerUrl)
    }
}

/// The header of an API key. `None` can't happen: the characters of a key are
/// all allowed in a header.
pub(crate) fn bearer(key: &ApiKey) -> Option<HeaderValue> {
    secret_header(&Zeroizing::new(format!("Bearer {}", key.as_str())))
}

/// A header's value, marked as secret so that HTTP/2 never indexes it; `None` if
/// a character isn't allowed in one.
pub(crate) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unreachable(step: &'static str, error: reqwest::Error) -> ClientError {
    ClientError::Transport {
        step,
        source: Arc::new(error.without_url()),
    }
}

#[cfg(test)]
mod tests;
