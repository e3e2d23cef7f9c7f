//! Stands before an honest provider and gives out other bytes for some paths.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use client::ClientConfig;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use protocol::log::{LogHash, Part, SignedCheckpoint, TileId, Tree, bundle};
use protocol::manifest::SnapshotId;
use protocol::problem::{Problem, ProblemType};
use protocol::wire;
use tests::Provider;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Longest body here: a database.
const BODY_BYTES_MAX: usize = 1 << 30;

/// What an observer sees of a request: method and path, and the bytes of both
/// bodies.
pub(crate) type Seen = (String, usize, usize);

/// Status and body of an answer that was made before its request came.
type Canned = (StatusCode, Vec<u8>);

/// The front; it ends when dropped.
pub(crate) struct Rogue {
    address: SocketAddr,
    behaviour: Arc<Behaviour>,
    task: JoinHandle<()>,
}

struct Behaviour {
    honest: Router,
    changed: Mutex<HashMap<String, Vec<u8>>>,
    /// What the next requests for a path are answered with, before anything else.
    next: Mutex<HashMap<String, VecDeque<Canned>>>,
    corrupt_answers: AtomicBool,
    /// Queries to the one snapshot go to the other.
    mixed: Mutex<Option<[SnapshotId; 2]>>,
    seen: Mutex<Vec<Seen>>,
}

impl Rogue {
    /// Before this provider, under its certificate.
    pub(crate) async fn before(provider: &Provider) -> Result<Self> {
        let behaviour = Arc::new(Behaviour {
            honest: provider.app(),
            changed: Mutex::default(),
            next: Mutex::default(),
            corrupt_answers: AtomicBool::new(false),
            mixed: Mutex::default(),
            seen: Mutex::default(),
        });
        let data = provider.directory.data();
        let acceptor = TlsAcceptor::from(data.tls(&data.config()?)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&behaviour));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, app) = (acceptor.clone(), app.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    // Clients come and go.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
                        .await;
                });
            }
        });
        Ok(Self {
            address,
            behaviour,
            task,
        })
    }

    /// How a client connects to it.
    pub(crate) fn config(&self, provider: &Provider) -> Result<ClientConfig> {
        provider.client_config(self.address)
    }

    /// Gives out these bytes for a path.
    pub(crate) fn give(&self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let mut changed = self.behaviour.changed.lock().unwrap();
        changed.insert(path.into(), bytes.into());
    }

    /// Answers one more of the next requests for a path with these bytes.
    pub(crate) fn give_once(&self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.answer_once(path, StatusCode::OK, bytes.into());
    }

    /// Refuses one more of the next requests for a path.
    pub(crate) fn refuse_once(&self, path: impl Into<String>, problem: ProblemType) {
        let problem = Problem::new(problem);
        let status = StatusCode::from_u16(problem.status()).unwrap();
        self.answer_once(path, status, problem.to_json());
    }

    fn answer_once(&self, path: impl Into<String>, status: StatusCode, bytes: Vec<u8>) {
        let mut next = self.behaviour.next.lock().unwrap();
        let answers = next.entry(path.into()).or_default();
        answers.push_back((status, bytes));
    }

    /// Gives out the log of these manifests, fewer than 256, signed by the provider.
    pub(crate) fn give_log<E: AsRef<[u8]>>(&self, provider: &Provider, log: &[E]) -> Result<()> {
        let leaves = log.iter().map(|entry| LogHash::of_leaf(entry.as_ref()));
        let tree: Tree = leaves.collect();
        let head = tree.head(tree.size()).unwrap();
        let key = provider.directory.data().provider_key()?;
        let checkpoint = SignedCheckpoint::sign(head, &key)?;
        self.give(wire::LOG_CHECKPOINT_PATH, checkpoint.encode());
        if log.is_empty() {
            return Ok(());
        }
        let tile = TileId {
            level: 0,
            index: 0,
            width: log.len() as u16,
        };
        let hashes = TileId::encode(&tree.tile(&tile).unwrap());
        self.give(wire::log_tile_path(&Part::Tile(tile)), hashes);
        let entries = wire::log_tile_path(&Part::bundle(0, head.size));
        self.give(entries, bundle::encode(log)?);
        Ok(())
    }

    /// Is honest again.
    pub(crate) fn repent(&self) {
        self.behaviour.changed.lock().unwrap().clear();
        self.behaviour.next.lock().unwrap().clear();
        self.corrupt_answers(false);
        *self.behaviour.mixed.lock().unwrap() = None;
    }

    /// Has queries to a snapshot answered by another one.
    pub(crate) fn mix(&self, asked: SnapshotId, answering: SnapshotId) {
        *self.behaviour.mixed.lock().unwrap() = Some([asked, answering]);
    }

    /// Whether answers to queries are altered.
    pub(crate) fn corrupt_answers(&self, corrupt: bool) {
        let flag = &self.behaviour.corrupt_answers;
        flag.store(corrupt, Ordering::SeqCst);
    }

    /// What came since it was last asked.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.behaviour.seen.lock().unwrap())
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(behaviour): State<Arc<Behaviour>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let (path, sent) = (parts.uri.path().to_owned(), body.len());
    let route = format!("{} {path}", parts.method);
    let once = {
        let mut next = behaviour.next.lock().unwrap();
        next.get_mut(&path).and_then(VecDeque::pop_front)
    };
    let changed = behaviour.changed.lock().unwrap().get(&path).cloned();
    let (status, bytes) = match (once, changed) {
        (Some(once), _) => once,
        (None, Some(bytes)) => (StatusCode::OK, bytes),
        (None, None) => {
            let mut request = Request::from_parts(parts, Body::from(body));
            if let Some([asked, answering]) = *behaviour.mixed.lock().unwrap()
                && path == wire::query_path(&asked)
            {
                *request.uri_mut() = wire::query_path(&answering).parse().unwrap();
            }
            let response = behaviour.honest.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let mut bytes = to_bytes(body, BODY_BYTES_MAX).await.unwrap().to_vec();
            let corrupt = behaviour.corrupt_answers.load(Ordering::SeqCst);
            if corrupt && path.ends_with("/query") {
                // Somewhere in the body's coefficients.
                let middle = bytes.len() / 2;
                bytes[middle..].iter_mut().for_each(|byte| *byte ^= 0x20);
            }
            (parts.status, bytes)
        }
    };
    let seen = (route, sent, bytes.len());
    behaviour.seen.lock().unwrap().push(seen);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
}
