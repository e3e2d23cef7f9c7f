use std::net::SocketAddr;
use std::time::Instant;

use protocol::wire;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::fixture::shared;

const QUICK: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);

fn patient() -> ListenLimits {
    ListenLimits {
        max_connections: 8,
        handshake: LONG,
        header: LONG,
        silence: LONG,
        drain: LONG,
    }
}

struct Serving {
    address: SocketAddr,
    state: Arc<AppState>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    async fn start(limits: ListenLimits) -> Self {
        let (data, config) = (&shared().data, Config::default());
        let (store, ledger) = (Arc::clone(&shared().store), Arc::clone(&shared().ledger));
        let state = AppState::open(data, &config, store, ledger).unwrap();
        let tls = data.tls(&config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, tls, Arc::clone(&state), limits, async {
            stopped.await.unwrap();
        });
        let task = tokio::spawn(serving);
        Self {
            address,
            state,
            stop,
            task,
        }
    }

    async fn connect(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        self.handshake(alpn).await.unwrap()
    }

    async fn handshake(&self, alpn: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let pem = std::fs::read(shared().data.root().join("tls/cert.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// The status line of a request that asks for the connection to end after it.
async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    status(stream).await
}

async fn status(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    // What follows the answer doesn't matter.
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    text.lines().next().unwrap_or_default().to_owned()
}

/// How long the server lets a peer be silent.
async fn closed_after(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Duration {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes))
        .await
        .expect("closed in time");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tls_1_3_is_spoken() {
    let serving = Serving::start(patient()).await;
    let mut stream = serving.connect(b"http/1.1").await;
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(ask(&mut stream, wire::READY_PATH).await, "HTTP/1.1 200 OK");
    assert!(serving.handshake(b"spdy/3").await.is_err());
    let stream = serving.connect(b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut plain = TcpStream::connect(serving.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closed_after(&mut plain).await;
    drop(stream);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_peers_are_let_go_at_every_stage() {
    let limits = ListenLimits {
        handshake: QUICK,
        header: QUICK,
        silence: QUICK,
        ..patient()
    };
    let serving = Serving::start(limits).await;
    let mut half_open = TcpStream::connect(serving.address).await.unwrap();
    assert!(closed_after(&mut half_open).await >= QUICK / 2);
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let mut silent = serving.connect(alpn).await;
        closed_after(&mut silent).await;
    }
    // Headers that drip never end, and no byte of them starts the clock anew.
    let mut dripping = serving.connect(b"http/1.1").await;
    dripping
        .write_all(b"GET / HTTP/1.1\r\nhost: l")
        .await
        .unwrap();
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if dripping.write_all(b"o").await.is_err() || dripping.flush().await.is_err() {
            break;
        }
        tokio::time::sleep(QUICK / 8).await;
    }
    assert!(begun.elapsed() < LONG);
    // An HTTP/2 connection with a preface and nothing after it.
    let mut idle = serving.connect(b"h2").await;
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .await
        .unwrap();
    closed_after(&mut idle).await;
    // And those who speak are served all the while.
    let mut honest = serving.connect(b"http/1.1").await;
    assert_eq!(ask(&mut honest, wire::LIVE_PATH).await, "HTTP/1.1 200 OK");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn further_connections_wait_for_a_place() {
    let serving = Serving::start(ListenLimits {
        max_connections: 1,
        ..patient()
    })
    .await;
    let first = serving.connect(b"http/1.1").await;
    let waiting = timeout(QUICK, serving.connect(b"http/1.1")).await;
    assert!(waiting.is_err(), "the second has no place yet");
    drop(first);
    let mut second = serving.connect(b"http/1.1").await;
    assert_eq!(ask(&mut second, wire::LIVE_PATH).await, "HTTP/1.1 200 OK");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_at_the_end_is_finished() {
    let serving = Serving::start(patient()).await;
    let mut busy = serving.connect(b"http/1.1").await;
    let key = shared().api_key.as_str();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/cbor\r\ncontent-length: 3\r\n\r\n",
        wire::OPRF_PATH
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.flush().await.unwrap();
    // The request is under way when its body is being waited for.
    tokio::time::sleep(QUICK).await;
    let Serving {
        address,
        state,
        stop,
        task,
    } = serving;
    stop.send(()).unwrap();
    while state.is_ready() {
        tokio::task::yield_now().await;
    }
    assert!(!task.is_finished(), "it waits for the request");
    busy.write_all(b"xyz").await.unwrap();
    assert_eq!(status(&mut busy).await, "HTTP/1.1 400 Bad Request");
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_in_time() {
    let serving = Serving::start(ListenLimits {
        drain: QUICK,
        ..patient()
    })
    .await;
    let mut stuck = serving.connect(b"http/1.1").await;
    stuck
        .write_all(b"POST /v1/oprf HTTP/1.1\r\n")
        .await
        .unwrap();
    stuck.flush().await.unwrap();
    let begun = Instant::now();
    serving.stop().await;
    assert!(begun.elapsed() < LONG / 2);
}
