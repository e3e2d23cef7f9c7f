//! The access log: who, which route, how much, how long; never what. Requests are
//! counted where they are logged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Response;
use axum::middleware::Next;
use protocol::problem::ProblemType;

use super::AppState;
use crate::senders::SenderName;

/// What handlers note about a request for the log.
#[derive(Debug, Default)]
pub(super) struct Noted {
    sender: OnceLock<SenderName>,
    request_bytes: AtomicU64,
}

impl Noted {
    /// Who asks.
    pub(super) fn sender(&self, name: &SenderName) {
        // A request is authenticated once.
        let _ = self.sender.set(name.clone());
    }

    /// How long the body was.
    pub(super) fn request_bytes(&self, bytes: usize) {
        self.request_bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

/// Logs a request after its answer is made. Shows the route, not the path, and
/// no header: whatever a client may have put there.
pub(super) async fn log(
    State(state): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let begun = Instant::now();
    let noted = Arc::new(Noted::default());
    request.extensions_mut().insert(Arc::clone(&noted));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let problem = response.extensions().get::<ProblemType>().copied();
    let pattern = route.as_ref().map(MatchedPath::as_str);
    state.metrics.answered(&method, pattern, problem);
    tracing::info!(
        target: "access",
        sender = noted.sender.get().map_or("-", SenderName::as_str),
        route = pattern.unwrap_or("-"),
        status = response.status().as_u16(),
        request_bytes = noted.request_bytes.load(Ordering::Relaxed),
        response_bytes = response.body().size_hint().exact().unwrap_or_default(),
        milliseconds = begun.elapsed().as_millis() as u64,
    );
    response
}
