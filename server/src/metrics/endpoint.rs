//! Where the text is asked for: plain HTTP, for this machine alone.

use std::future::{Future, IntoFuture as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::http::AppState;

/// The type of the text (OpenMetrics 1.0, "Protocol Negotiation").
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics` until `shutdown` ends, and then what is under way for `drain` at
/// most.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AppState>,
    drain: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .with_state(state);
    let draining = Arc::new(Notify::new());
    let begun = Arc::clone(&draining);
    let shutdown = async move {
        shutdown.await;
        begun.notify_one();
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown);
    let late = async {
        draining.notified().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        // It never fails: what can't be accepted is tried again.
        _ = pin!(serving.into_future()) => {}
        () = late => tracing::warn!("metrics were still asked for at the end"),
    }
}

async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    match state.metrics().text(&state).await {
        Some(text) => {
            let headers = [(CONTENT_TYPE, OPENMETRICS), (CACHE_CONTROL, "no-store")];
            (headers, text).into_response()
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
