//! What a provider can see of a lookup does not depend on who is looked up or
//! on what is found, and nothing that it logs names anyone.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use client::Client;
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::trust::TrustList;
use sha2::{Digest as _, Sha256, Sha512};
use sha3::Sha3_256;
use tests::{Directory, Metrics, Provider, SENDER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Everything logged in this process, by server and client and every library,
/// at every level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Starts capturing; once a process, so this file has one test.
fn capture() -> Captured {
    let captured = Captured::default();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(LevelFilter::TRACE)
        .with_writer(captured.clone())
        .init();
    captured
}

/// A request as the access log shows it: sender, route, status and the bytes
/// of the two bodies.
type Seen = (String, String, u64, u64, u64);

/// The access log since `captured` was cleared.
fn access_log(captured: &Captured) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for line in captured.text().lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if line["target"] != "access" {
            continue;
        }
        let text = |field: &str| line[field].as_str().map(str::to_owned).context("a text");
        let number = |field: &str| line[field].as_u64().context("a number");
        seen.push((
            text("sender")?,
            text("route")?,
            number("status")?,
            number("request_bytes")?,
            number("response_bytes")?,
        ));
    }
    Ok(seen)
}

/// Relays connections to a server and counts what is encrypted towards it: the
/// bytes inside TLS records, since how writes fall into records is a matter of
/// timing.
struct Relay {
    address: SocketAddr,
    towards_server: Arc<AtomicU64>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let towards_server = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&towards_server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, Arc::clone(&counter)));
            }
        });
        Ok(Self {
            address,
            towards_server,
        })
    }

    fn towards_server(&self) -> u64 {
        self.towards_server.load(Ordering::SeqCst)
    }
}

async fn relay(client: TcpStream, server: SocketAddr, counter: Arc<AtomicU64>) -> Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    // RFC 8446 §5.1: type, version, length; then the record. An encrypted one
    // (type 23) ends with its inner type and 16 bytes of authentication tag.
    let mut header = [0; 5];
    while from_client.read_exact(&mut header).await.is_ok() {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let mut record = vec![0; length];
        from_client.read_exact(&mut record).await?;
        if header[0] == 23 {
            counter.fetch_add(length as u64 - 17, Ordering::SeqCst);
        }
        to_server.write_all(&header).await?;
        to_server.write_all(&record).await?;
    }
    to_server.shutdown().await?;
    back.await??;
    Ok(())
}

/// What the provider sees of one lookup by a client that has just started.
async fn observed(
    provider: &Provider,
    captured: &Captured,
    csi: &Csi,
    trust: Option<&TrustList>,
) -> Result<(Lookup, Vec<Seen>, u64)> {
    captured.clear();
    // One of its own: an earlier client may still be saying goodbye.
    let relay = Relay::to(provider.address).await?;
    let mut config = provider.client_config(relay.address)?;
    if let Some(trust) = trust {
        config.trust = trust.clone();
    }
    let client = Client::connect(config).await?;
    let lookup = client.lookup(csi).await?;
    // Counted before the connection is closed, which is none of the lookup.
    let bytes = relay.towards_server();
    drop(client);
    Ok((lookup, access_log(captured)?, bytes))
}

/// An identifier as it might leak: as it is, without its scheme, its digits or
/// address alone, encoded, and hashed.
fn traces(csi: &Csi) -> Vec<String> {
    let canonical = csi.canonical();
    let bare = canonical
        .split_once(':')
        .map_or(canonical, |(_, bare)| bare);
    let mut traces = Vec::new();
    for form in [canonical, bare, bare.trim_start_matches('+')] {
        let bytes = form.as_bytes();
        traces.push(form.to_owned());
        traces.push(hex::encode(bytes));
        let hashes = [
            bytes.to_vec(),
            Sha256::digest(bytes).to_vec(),
            Sha512::digest(bytes).to_vec(),
            Sha3_256::digest(bytes).to_vec(),
        ];
        for bytes in hashes {
            traces.push(hex::encode(&bytes));
            traces.push(STANDARD.encode(&bytes));
            traces.push(STANDARD_NO_PAD.encode(&bytes));
            traces.push(URL_SAFE_NO_PAD.encode(&bytes));
            // As a debug print of bytes shows them.
            traces.push(format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
        }
    }
    traces
}

/// What no metric may show, wherever it was.
const CANARY: &str = "Canary0123456789";

/// Puts the canary where tokens, queries, names and paths are expected.
async fn offer_canary(provider: &Provider) -> Result<()> {
    let certificate = std::fs::read(provider.directory.data().root().join("tls/cert.pem"))?;
    let http = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
        .build()?;
    let base = format!("https://localhost:{}", provider.address.port());
    let query = format!("{base}/v1/snapshots/{}/query", provider.snapshot().id());
    let named = format!("{base}/v1/snapshots/{CANARY}/query");
    let unknown = format!("{base}/{CANARY}?{CANARY}");
    let method = reqwest::Method::from_bytes(CANARY.as_bytes())?;
    for (request, status) in [
        (http.post(&query), 401),
        (http.post(&named), 401),
        (http.post(format!("{base}/v1/oprf")), 401),
        (http.get(&unknown), 404),
        (http.request(method, &query), 405),
        (http.put(format!("{base}/v1/mappings")), 415),
    ] {
        let request = request
            .header("authorization", format!("PrivateToken token=\"{CANARY}\""))
            .header("sotto-sender", CANARY)
            .header("content-type", CANARY)
            .body(CANARY);
        let found = request.send().await?.status();
        ensure!(found == status, "{found}, expected {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_look_alike_and_leave_no_trace() -> Result<()> {
    let captured = capture();
    let mut directory = Directory::build(400, 21)?;
    let absent = directory.absent(3)?;
    let provider = directory.serve().await?;
    let everything_so_far = captured.text();

    // One identifier of each kind of answer, phone numbers and addresses, and
    // one whose record the client can't verify.
    let records = &provider.directory.records;
    let of = |wanted: fn(&Lookup) -> bool| {
        let found = records
            .iter()
            .filter(|r| provider.directory.expected(r).is_ok_and(|l| wanted(&l)));
        found.map(|r| r.csi.clone()).take(3).collect::<Vec<_>>()
    };
    let mut kinds: Vec<(&str, Vec<Csi>, Option<TrustList>)> = vec![
        (
            "one mapping",
            of(|l| matches!(l, Lookup::Mappings(m) if m.len() == 1)),
            None,
        ),
        (
            "several",
            of(|l| matches!(l, Lookup::Mappings(m) if m.len() > 1)),
            None,
        ),
        ("opted out", of(|l| matches!(l, Lookup::OptedOut)), None),
        ("no mapping", of(|l| matches!(l, Lookup::NoMapping)), None),
        ("absent", absent, None),
    ];
    let nobody = TrustList::new(Vec::new())?;
    kinds.push(("unverifiable", kinds[0].1.clone(), Some(nobody)));

    // Shown once more so that the first connection's session state is alike.
    let (_, reference, reference_bytes) =
        observed(&provider, &captured, &records[0].csi, None).await?;
    let metrics = provider.show_metrics().await?;
    let first = Metrics::of(metrics).await?;
    let evaluations = first.value("sotto_oprf_evaluations_total")?;
    let routes: Vec<&str> = reference.iter().map(|seen| seen.1.as_str()).collect();
    assert_eq!(
        routes,
        [
            "/v1/manifest",
            // Of a log of one manifest nothing else is needed.
            "/v1/log/checkpoint",
            "/v1/snapshots/{id}/hint",
            "/v1/oprf",
            "/v1/snapshots/{id}/query"
        ]
    );
    assert_eq!(reference[4].0, SENDER);
    assert!(reference.iter().all(|seen| seen.2 == 200), "{reference:?}");
    assert!(
        reference[4].3 > 25_000 && reference[4].4 > 1000,
        "{reference:?}"
    );

    let mut logged = everything_so_far;
    let mut looked_up = vec![records[0].csi.clone()];
    for (kind, csis, trust) in &kinds {
        ensure!(csis.len() == 3, "{kind}: {} identifiers", csis.len());
        for csi in csis {
            let (lookup, seen, bytes) = observed(&provider, &captured, csi, trust.as_ref()).await?;
            let is_unverifiable = matches!(lookup, Lookup::Unverifiable(_));
            assert_eq!(is_unverifiable, trust.is_some(), "{kind}: {lookup:?}");
            assert_eq!(seen, reference, "{kind}");
            assert_eq!(bytes, reference_bytes, "{kind}: bytes on the wire");
            logged.push_str(&captured.text());
            looked_up.push(csi.clone());
        }
    }
    // All lookups of one client each that has just started: the same series, and the
    // same in each of them, whatever was looked up and found.
    let lookups = looked_up.len() as f64;
    let after = Metrics::of(metrics).await?;
    for route in ["oprf", "snapshots/{id}/query"] {
        let line =
            format!("sotto_requests_total{{method=\"POST\",route=\"/v1/{route}\",outcome=\"ok\"}}");
        assert_eq!(after.value(&line)?, lookups);
    }
    assert_eq!(
        after.value("sotto_oprf_evaluations_total")?,
        evaluations * lookups
    );
    assert!(after.series().eq(first.series()), "{}", after.text);
    offer_canary(&provider).await?;
    let refused = Metrics::of(metrics).await?;
    assert!(refused.series().count() > after.series().count());
    provider.stop().await?;
    logged.push_str(&captured.text());

    for text in [&first.text, &after.text, &refused.text] {
        let never = looked_up.iter().flat_map(traces);
        for trace in never.chain([CANARY, SENDER].map(str::to_owned)) {
            assert!(!text.contains(&trace), "a metric has {trace}");
        }
    }

    // The capture works at every level and holds lines of server and client.
    for level in ["TRACE", "DEBUG", "INFO"] {
        assert!(
            logged.contains(&format!("\"level\":\"{level}\"")),
            "no {level} line"
        );
    }
    for csi in &looked_up {
        for trace in traces(csi) {
            assert!(
                !logged.contains(&trace),
                "a trace of an identifier was logged"
            );
        }
    }
    Ok(())
}
