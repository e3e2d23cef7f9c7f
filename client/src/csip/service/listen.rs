//! Connections: accepted, encrypted, served, drained.
//!
//! HTTP/1.1 and one request a connection: holders come once in a while, and a
//! connection that can hold one request only is easy to bound.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::app;
use crate::csip::issue::Csip;
use crate::csip::tls::{self, TlsError};

/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 256;

/// For a TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// For the headers of a request.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request's headers.
const HEADERS_MAX: usize = 16 * 1024;

/// What a connection may take beside the hook, and how long requests under way
/// are waited for at the end.
const SLACK: Duration = Duration::from_secs(45);

/// How long a failing accept is left alone: descriptors may be short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` ends; then it takes no more connections and finishes
/// what is under way.
///
/// # Errors
/// [`TlsError`], if certificate or key can't be used.
pub async fn serve(
    listener: TcpListener,
    csip: Arc<Csip>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let patience = csip.config().hook.timeout() + SLACK;
    let served = Served {
        acceptor: TlsAcceptor::from(tls::server_config(&csip.config().tls)?),
        app: app(csip),
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = served.clone().connection(stream, graceful.watcher());
                    tokio::spawn(async move {
                        let _place = place;
                        if timeout(patience, connection).await.is_err() {
                            tracing::debug!("a connection took too long");
                        }
                    });
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
    drop(listener);
    if timeout(patience, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the end");
    }
    Ok(())
}

#[derive(Clone)]
struct Served {
    acceptor: TlsAcceptor,
    app: Router,
}

impl Served {
    /// One connection, from its handshake to its end.
    async fn connection(self, stream: TcpStream, watcher: Watcher) {
        let handshake = timeout(HANDSHAKE_PATIENCE, self.acceptor.accept(stream));
        let Ok(Ok(stream)) = handshake.await else {
            tracing::debug!("a TLS handshake failed");
            return;
        };
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_PATIENCE)
            .max_buf_size(HEADERS_MAX)
            .keep_alive(false);
        let service = TowerToHyperService::new(self.app);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if watcher.watch(connection).await.is_err() {
            // What it says may quote what the peer sent.
            tracing::debug!("a connection ended early");
        }
    }
}
