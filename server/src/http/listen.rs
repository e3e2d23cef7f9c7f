//! Connections: accepted, encrypted, served, drained.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::patience::Patient;
use super::{AppState, app};
use crate::config::Config;
use crate::senders::CertificateDigest;

/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 32;

/// Bytes of a request's headers.
const HEADERS_MAX: u32 = 16 * 1024;

/// How long a failing accept is left alone: descriptors may be short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is left to a connection beside the longest wait for an answer.
const SLACK: Duration = Duration::from_secs(30);

/// How many connections, and how patient to be with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenLimits {
    /// Connections at a time.
    pub max_connections: usize,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the headers of a request.
    pub header: Duration,
    /// Between two bytes of a peer, waits for answers included.
    pub silence: Duration,
    /// For requests under way at the end.
    pub drain: Duration,
}

impl From<&Config> for ListenLimits {
    fn from(config: &Config) -> Self {
        let (timeouts, milliseconds) = (&config.timeouts, Duration::from_millis);
        Self {
            max_connections: config.max_connections,
            handshake: milliseconds(timeouts.handshake_ms),
            header: milliseconds(timeouts.header_ms),
            silence: milliseconds(timeouts.header_ms) + config.queries.deadline() + SLACK,
            drain: milliseconds(timeouts.drain_ms),
        }
    }
}

/// Serves until `shutdown` ends; then it says that it isn't ready, takes no
/// more connections, and finishes what is under way.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    state: Arc<AppState>,
    limits: ListenLimits,
    shutdown: impl Future<Output = ()>,
) {
    let served = Served {
        acceptor: TlsAcceptor::from(tls),
        app: app(Arc::clone(&state)),
        limits,
    };
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(served.clone().connection(stream, place, graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    state.drain();
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the end");
    }
}

#[derive(Clone)]
struct Served {
    acceptor: TlsAcceptor,
    app: Router,
    limits: ListenLimits,
}

impl Served {
    /// One connection, from its handshake to its end.
    async fn connection(self, stream: TcpStream, _place: OwnedSemaphorePermit, watcher: Watcher) {
        let limits = self.limits;
        // Answers are written whole: nothing to wait for.
        let _ = stream.set_nodelay(true);
        let Ok(Ok(stream)) = timeout(limits.handshake, self.acceptor.accept(stream)).await else {
            tracing::debug!("a TLS handshake failed");
            return;
        };
        let app = match stream.get_ref().1.peer_certificates() {
            Some([certificate, ..]) => {
                let shown = CertificateDigest::of(certificate);
                self.app.layer(Extension(shown))
            }
            _ => self.app,
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let builder = Builder::new(TokioExecutor::new());
        // Decided by ALPN, so that nothing waits for bytes to tell them apart.
        let mut builder = if is_http2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(HEADERS_MAX as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADERS_MAX);
        let io = TokioIo::new(Patient::new(stream, limits.header, limits.silence));
        let connection = builder.serve_connection(io, TowerToHyperService::new(app));
        if watcher.watch(connection).await.is_err() {
            // What it says may quote what the peer sent.
            tracing::debug!("a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;
