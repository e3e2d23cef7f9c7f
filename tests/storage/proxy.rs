//! A proxy before the S3 server that has requests fail: as if they had not arrived,
//! or though they were carried out.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use tests::s3::S3;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It was not carried out.
    Before,
    /// It was, and is reported as failed.
    After,
}

/// What happens after the one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// All is as before.
    Works,
    /// Nothing arrives any more, as from a process that was killed.
    Fails,
}

/// The proxy; it ends when it is dropped.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    task: JoinHandle<()>,
}

struct Shared {
    to: String,
    client: reqwest::Client,
    state: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    /// Writing requests until the one that fails.
    fails: Option<(u32, Side, Rest)>,
    /// Whether one has.
    failed: bool,
    /// A body that is longer ends after so many bytes, and nothing arrives afterwards.
    cut: Option<usize>,
    /// Runs when the pointer is to move, before it does.
    race: Option<Box<dyn FnOnce() + Send>>,
    seen: Vec<Seen>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

impl Proxy {
    pub(crate) async fn start(s3: &S3) -> Result<Self> {
        let shared = Arc::new(Shared {
            to: s3.endpoint(),
            client: reqwest::Client::new(),
            state: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let app = Router::new()
            .fallback(pass)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { shared, port, task })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has the writing request after so many others fail, while `run` runs; whether
    /// one did.
    pub(crate) fn failing<T>(
        &self,
        after: u32,
        side: Side,
        rest: Rest,
        run: impl FnOnce() -> T,
    ) -> (T, bool) {
        *self.shared.plan() = Plan {
            fails: Some((after, side, rest)),
            ..Plan::default()
        };
        let result = run();
        let plan = std::mem::take(&mut *self.shared.plan());
        (result, plan.failed)
    }

    /// Runs `race` when the pointer is to move, before it does, while `run` runs; gives
    /// what `race` came to, if it did run.
    pub(crate) fn racing<T, R: Send + 'static>(
        &self,
        race: impl FnOnce() -> R + Send + 'static,
        run: impl FnOnce() -> T,
    ) -> (T, Option<R>) {
        let (send, receive) = std::sync::mpsc::channel();
        let race = move || {
            // Somebody waits below.
            let _ = send.send(race());
        };
        *self.shared.plan() = Plan {
            race: Some(Box::new(race)),
            ..Plan::default()
        };
        let result = run();
        *self.shared.plan() = Plan::default();
        (result, receive.try_recv().ok())
    }

    /// Has a body that is longer end after so many bytes and nothing arrive after it,
    /// until it is said that all works again.
    pub(crate) fn cut(&self, after: Option<usize>) {
        *self.shared.plan() = Plan {
            cut: after,
            ..Plan::default()
        };
    }

    /// The requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.plan().seen)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How this request fails.
    fn fails(&self, seen: Seen) -> Option<Side> {
        let writes = !matches!(seen.method, Method::GET | Method::HEAD);
        let mut plan = self.plan();
        plan.seen.push(seen);
        if plan.failed {
            let (_, _, rest) = plan.fails?;
            return (rest == Rest::Fails).then_some(Side::Before);
        }
        let (left, side, rest) = plan.fails.filter(|_| writes)?;
        if left > 0 {
            plan.fails = Some((left - 1, side, rest));
            return None;
        }
        plan.failed = true;
        Some(side)
    }

    async fn forward(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        headers.remove(header::HOST);
        let url = format!("{}{uri}", self.to);
        let request = self.client.request(method.clone(), url);
        let answer = request.headers(headers).body(body).send().await?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if !matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING) {
                response = response.header(name, value);
            }
        }
        let body = answer.bytes().await?;
        let cut = self.plan().cut.filter(|cut| *cut < body.len());
        Ok(match cut {
            // The connection ends too early.
            Some(cut) if method == Method::GET => {
                let mut plan = self.plan();
                plan.fails = Some((0, Side::Before, Rest::Fails));
                plan.failed = true;
                let pieces: Vec<_> = body[..cut]
                    .chunks(1 << 16)
                    .map(Bytes::copy_from_slice)
                    .collect();
                let pieces = pieces.into_iter().map(Ok);
                let end = [Err(std::io::Error::other("cut"))];
                response.body(Body::from_stream(futures_util::stream::iter(
                    pieces.chain(end),
                )))?
            }
            _ => response.body(Body::from(body))?,
        })
    }
}

async fn pass(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| {
        let value = headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        value.map(str::to_owned)
    };
    let side = shared.fails(Seen {
        method: method.clone(),
        path: uri.to_string(),
        range: text(header::RANGE),
        authorization: text(header::AUTHORIZATION),
    });
    let refused = |status| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response
    };
    if method == Method::PUT && uri.path().ends_with("/current.json") {
        let race = shared.plan().race.take();
        if let Some(race) = race {
            // A panic is an answer that the test misses.
            let _ = tokio::task::spawn_blocking(race).await;
        }
    }
    if side == Some(Side::Before) {
        return refused(StatusCode::FORBIDDEN);
    }
    let answer = shared.forward(method, &uri, headers, body).await;
    match (answer, side) {
        (Ok(answer), None) => answer,
        // No client tries again after this one.
        (_, Some(_)) => refused(StatusCode::FORBIDDEN),
        (Err(_), None) => refused(StatusCode::BAD_GATEWAY),
    }
}
