//! Bad requests to the real server: each gets a problem document that says
//! what is wrong, and the server goes on.

use anyhow::{Result, bail};
use client::{Client, ClientError};
use protocol::csi::Csi;
use protocol::log::{LogHash, SignedCheckpoint, bundle};
use protocol::problem::{Problem, ProblemType};
use protocol::pseudonym::Pseudonym;
use protocol::wire::{self, media};
use reqwest::{Method, Response, StatusCode, Version};
use server::ledger::Quota;
use tests::{Directory, Provider};

struct Http {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl Http {
    fn new(provider: &Provider) -> Result<Self> {
        let path = provider.directory.data().root().join("tls/cert.pem");
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(path)?)?;
        Ok(Self {
            client: reqwest::Client::builder()
                .tls_certs_only([certificate])
                .https_only(true)
                .build()?,
            base: format!("https://localhost:{}", provider.address.port()),
            key: provider.api_key().to_owned(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Response> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request
            .bearer_auth(&self.key)
            .header("content-type", kind)
            .body(body);
        Ok(request.send().await?)
    }
}

/// Checks that a response is the problem document of a type.
async fn is_problem(response: Response, expected: ProblemType) -> Result<Problem> {
    let status = response.status().as_u16();
    assert_eq!(
        response.headers()["content-type"],
        media::PROBLEM,
        "{expected:?}"
    );
    let problem = Problem::from_json(&response.bytes().await?)?;
    assert_eq!((problem.kind, status), (expected, expected.status()));
    Ok(problem)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_problem_documents() -> Result<()> {
    let provider = Directory::build(50, 31)?.serve().await?;
    let http = Http::new(&provider)?;
    let snapshot = provider.snapshot();
    let query = wire::query_path(&snapshot.id());
    let length = snapshot.params().costs().upload_bytes;

    let cases = [
        (
            Method::GET,
            "/nowhere",
            "",
            Vec::new(),
            ProblemType::NotFound,
        ),
        (
            Method::POST,
            wire::MANIFEST_PATH,
            "",
            Vec::new(),
            ProblemType::MethodNotAllowed,
        ),
        (
            Method::POST,
            wire::OPRF_PATH,
            media::CBOR,
            Vec::new(),
            ProblemType::MalformedRequest,
        ),
        (
            Method::POST,
            wire::OPRF_PATH,
            media::CBOR,
            vec![0xff; 40],
            ProblemType::MalformedRequest,
        ),
        (
            Method::POST,
            wire::OPRF_PATH,
            "text/plain",
            vec![0xa0],
            ProblemType::UnsupportedMediaType,
        ),
        (
            Method::POST,
            wire::OPRF_PATH,
            media::CBOR,
            vec![0; 1 << 20],
            ProblemType::PayloadTooLarge,
        ),
        (
            Method::POST,
            query.as_str(),
            media::QUERY,
            vec![0; length - 1],
            ProblemType::MalformedRequest,
        ),
        (
            Method::POST,
            query.as_str(),
            media::QUERY,
            vec![0; length + 1],
            ProblemType::PayloadTooLarge,
        ),
        (
            Method::POST,
            query.as_str(),
            media::QUERY,
            vec![0; length],
            ProblemType::MalformedRequest,
        ),
        (
            Method::POST,
            query.as_str(),
            media::CBOR,
            vec![0; length],
            ProblemType::UnsupportedMediaType,
        ),
    ];
    for (method, path, kind, body, expected) in cases {
        let bytes = body.len();
        let response = http.send(method, path, kind, body).await?;
        is_problem(response, expected)
            .await
            .map_err(|e| e.context(format!("{path}, {bytes} bytes")))?;
    }

    // Another snapshot: gone, with a pointer to the one that is served.
    let other = wire::query_path(&"00".repeat(32).parse()?);
    let response = http
        .send(Method::POST, &other, media::QUERY, vec![0; length])
        .await?;
    let problem = is_problem(response, ProblemType::SnapshotGone).await?;
    assert_eq!(problem.current_snapshot, Some(snapshot.id()));

    // Nobody, and somebody with another key.
    let url = format!("{}{}", http.base, wire::OPRF_PATH);
    let post = || {
        http.client
            .post(&url)
            .header("content-type", media::CBOR)
            .body(vec![0xa0])
    };
    is_problem(post().send().await?, ProblemType::Unauthorized).await?;
    is_problem(
        post().bearer_auth("x".repeat(43)).send().await?,
        ProblemType::Unauthorized,
    )
    .await?;

    let live = http
        .send(Method::GET, wire::LIVE_PATH, "", Vec::new())
        .await?;
    assert_eq!(live.status(), StatusCode::OK);
    assert_eq!(live.version(), Version::HTTP_2);
    let ready = http
        .send(Method::GET, wire::READY_PATH, "", Vec::new())
        .await?;
    assert_eq!(ready.status(), StatusCode::OK);
    provider.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_and_old_tls_are_refused() -> Result<()> {
    let provider = Directory::build(20, 32)?.serve().await?;
    let plain = format!("http://{}{}", provider.address, wire::LIVE_PATH);
    assert!(reqwest::get(&plain).await.is_err());
    let path = provider.directory.data().root().join("tls/cert.pem");
    let old = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(path)?)?])
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        .build()?;
    let url = format!(
        "https://localhost:{}{}",
        provider.address.port(),
        wire::LIVE_PATH
    );
    assert!(old.get(&url).send().await.is_err());
    provider.stop().await
}

/// Quotas through the client: of each sender its own, kept when the server starts
/// again, and nothing is waited for that takes an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_quota_is_used_up_is_told_when_to_come_back() -> Result<()> {
    let mut directory = Directory::build(30, 37)?;
    directory.quotas.sender = Quota {
        burst: 4,
        refill_per_hour: 1,
        per_day: 100,
    };
    let csis: Vec<Csi> = directory
        .records
        .iter()
        .map(|record| record.csi.clone())
        .collect();
    let provider = directory.serve().await?;
    let client = async |sender: Option<&str>| -> Result<Client> {
        let mut config = provider.client_config(provider.address)?;
        config.sender = sender.map(Pseudonym::parse).transpose()?;
        Ok(Client::connect(config).await?)
    };
    let alice = client(Some("alice")).await?;
    for found in alice.find_many(&csis[..4]).await {
        found?;
    }
    let Err(error) = alice.find(&csis[0]).await else {
        bail!("found beyond the quota");
    };
    assert!(
        matches!(
            error,
            ClientError::QuotaUsedUp {
                retry_after: 3000..=3600,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains(" minutes, at 20"), "{error}");
    // As another connection of the same sender; but not as others.
    let again = client(Some("alice")).await?.find(&csis[0]).await;
    assert!(
        matches!(again, Err(ClientError::QuotaUsedUp { .. })),
        "{again:?}"
    );
    client(Some("bob")).await?.find(&csis[0]).await?;
    let nobody = client(None).await?;
    let too_many = nobody.find_many(&csis[..5]).await;
    for refused in too_many {
        let error = refused.expect_err("more than the quota ever has");
        assert!(error.to_string().contains("at most 4 at a time"), "{error}");
    }
    nobody.find(&csis[0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_served_in_tiles_and_the_database_to_those_who_are_known() -> Result<()> {
    let provider = Directory::build(30, 36)?.serve().await?;
    let http = Http::new(&provider)?;
    let get = async |path: &str| http.send(Method::GET, path, "", Vec::new()).await;
    let checkpoint = get(wire::LOG_CHECKPOINT_PATH).await?;
    assert_eq!(checkpoint.headers()["content-type"], media::TEXT);
    assert_eq!(checkpoint.headers()["cache-control"], "no-cache");
    let key = provider.directory.data().provider_public_key()?;
    let checkpoint = SignedCheckpoint::open(&checkpoint.bytes().await?, &key)?;
    assert_eq!(checkpoint.head().size, 1);
    let manifest = provider.snapshot().signed_manifest().as_bytes().to_vec();

    let tile = get("/v1/log/tile/0/000.p/1").await?;
    assert_eq!(tile.headers()["content-type"], media::OCTETS);
    let cache = tile.headers()["cache-control"].to_str()?;
    assert!(cache.contains("immutable"), "{cache}");
    let leaf = LogHash::of_leaf(&manifest);
    assert_eq!(tile.bytes().await?[..], leaf.as_bytes()[..]);
    assert_eq!(checkpoint.head().root, leaf);
    let entries = get("/v1/log/tile/entries/000.p/1").await?.bytes().await?;
    assert_eq!(bundle::decode(&entries, 1)?, [&manifest[..]]);
    for path in [
        "/v1/log/tile/0/000",
        "/v1/log/tile/0/000.p/2",
        "/v1/log/tile/1/000.p/1",
        "/v1/log/tile/entries/001.p/1",
        "/v1/log/tile/0/0",
        "/v1/log/tile/",
    ] {
        is_problem(get(path).await?, ProblemType::NotFound).await?;
    }

    let snapshot = provider.snapshot();
    let path = wire::database_path(&snapshot.id());
    let stranger = http
        .client
        .get(format!("{}{path}", http.base))
        .send()
        .await?;
    is_problem(stranger, ProblemType::Unauthorized).await?;
    let database = get(&path).await?;
    let length = snapshot.database().len();
    assert_eq!(database.content_length(), Some(length as u64));
    assert_eq!(database.bytes().await?[..], *snapshot.database());
    let unknown = wire::database_path(&protocol::manifest::SnapshotId::from_bytes([7; 32]));
    is_problem(get(&unknown).await?, ProblemType::SnapshotGone).await?;
    drop(snapshot);
    provider.stop().await
}
