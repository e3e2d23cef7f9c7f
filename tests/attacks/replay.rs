//! Tokens that are spent again and again, everywhere at once.
//!
//! Bound: each token pays for one evaluation, however many race, on however many
//! servers of one provider, and whatever is killed in between.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use protocol::csi::Csi;
use protocol::manifest::SignedManifest;
use protocol::oprf::BlindedBatch;
use protocol::token::{
    BatchTokenResponse, Credentials, IssuerDirectory, PendingTokens, ServerName, Token,
    TokenChallenge, TokenType,
};
use protocol::wire::{self, OprfRequest, media};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Client, StatusCode};
use server::data_dir::DataDir;
use tests::postgres::Cluster;
use tests::{Deployment, Directory, Running};
use tokio::runtime::{Builder, Runtime};

const RACERS: usize = 64;
const TOKENS: usize = 120;

/// Servers that are killed, one after the other, while the racers race.
const KILLS: usize = 6;

/// Of the delay between two kills.
const DELAY_MS: std::ops::RangeInclusive<u64> = 150..=600;

/// A racer that meets killed servers only.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// How often each token was accepted, as seen by the racers.
type Accepted = HashMap<Vec<u8>, AtomicU64>;

#[test]
fn a_token_is_taken_once_by_two_servers_that_are_killed() -> Result<()> {
    let seed: u64 = rand::random();
    let rng = &mut StdRng::seed_from_u64(seed);
    let cluster = Cluster::start(None)?;
    let config = format!(
        "listen = \"127.0.0.1:0\"\n[store]\nkind = \"postgres\"\nurl = \"{}\"\n\
         [ledger]\nkind = \"postgres\"\n[snapshot]\ninterval_secs = 0\n",
        cluster.url("postgres")
    );
    let deployment = Directory::build_with(20, 41, Some(&config))?.hand_over()?;
    let data = [deployment.data.clone(), deployment.replica("other")?];
    let servers = [Running::start(&data[0])?, Running::start(&data[1])?];
    let addresses = servers.each_ref().map(|server| RwLock::new(server.address));

    let runtime = one_thread()?;
    let http = client(&deployment)?;
    let tokens = runtime.block_on(fetch(&http, &deployment, servers[0].address))?;
    let epoch = runtime.block_on(epoch(&http, servers[0].address))?;
    let accepted: Accepted = tokens
        .iter()
        .map(|token| (token.as_bytes().to_vec(), AtomicU64::new(0)))
        .collect();
    let stop = AtomicBool::new(false);
    let race = Race {
        deployment: &deployment,
        addresses: &addresses,
        tokens: &tokens,
        accepted: &accepted,
        epoch,
        stop: &stop,
    };

    let (killed, without_answer) = thread::scope(|scope| -> Result<_> {
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| scope.spawn(move || one_thread()?.block_on(race.run(racer, seed))))
            .collect();
        let killed = kill_some(servers, &data, &addresses, rng);
        stop.store(true, Ordering::Relaxed);
        let mut without_answer = 0;
        for racer in racers {
            without_answer += racer.join().expect("a racer")?;
        }
        Ok((killed?, without_answer))
    })
    .with_context(|| format!("seed {seed}"))?;

    // Whatever was accepted, or cut off after it was, is spent on both now.
    let mut answered = 0;
    for token in &tokens {
        let times = accepted[token.as_bytes()].load(Ordering::Relaxed);
        ensure!(times <= 1, "a token was taken {times} times, seed {seed}");
        answered += times;
        for server in &killed {
            let first = runtime.block_on(redeem(&http, server.address, token, epoch))?;
            ensure!(
                first == StatusCode::UNAUTHORIZED || times == 0,
                "a spent token: {first}, seed {seed}"
            );
            let again = runtime.block_on(redeem(&http, server.address, token, epoch))?;
            ensure!(again == StatusCode::UNAUTHORIZED, "{again}, seed {seed}");
        }
    }
    // Otherwise nothing was shown: most were answered, and kills cut some off.
    ensure!(
        answered as usize > TOKENS / 2,
        "{answered} answers, seed {seed}"
    );
    ensure!(without_answer > 0, "no kill cut a request off, seed {seed}");
    Ok(())
}

#[derive(Clone, Copy)]
struct Race<'a> {
    deployment: &'a Deployment,
    addresses: &'a [RwLock<SocketAddr>; 2],
    tokens: &'a [Token],
    accepted: &'a Accepted,
    epoch: u64,
    stop: &'a AtomicBool,
}

impl Race<'_> {
    /// Spends all tokens in an order of its own at servers of its choice, again
    /// and again; gives the number of requests that had no answer.
    async fn run(self, racer: usize, seed: u64) -> Result<u64> {
        let rng = &mut StdRng::seed_from_u64(seed ^ (racer as u64 + 1));
        let http = client(self.deployment)?;
        let mut order: Vec<&Token> = self.tokens.iter().collect();
        let mut without_answer = 0;
        while !self.stop.load(Ordering::Relaxed) {
            order.shuffle(rng);
            for token in &order {
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
                let address = &self.addresses[rng.random_range(0..2)];
                let address = *address.read().expect("an address");
                match redeem(&http, address, token, self.epoch).await {
                    Ok(StatusCode::OK) => {
                        self.accepted[token.as_bytes()].fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE) => {}
                    Ok(other) => bail!("{other}"),
                    Err(_) => {
                        without_answer += 1;
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                }
            }
        }
        Ok(without_answer)
    }
}

/// Kills one server after the other and starts it again; gives those that run.
fn kill_some(
    servers: [Running; 2],
    data: &[DataDir; 2],
    addresses: &[RwLock<SocketAddr>; 2],
    rng: &mut StdRng,
) -> Result<[Running; 2]> {
    let mut servers = servers.map(Some);
    for kill in 0..KILLS {
        thread::sleep(Duration::from_millis(rng.random_range(DELAY_MS)));
        let at = kill % 2;
        servers[at].take().context("a server")?.kill()?;
        let started = Running::start(&data[at])?;
        *addresses[at].write().expect("an address") = started.address;
        servers[at] = Some(started);
    }
    let [Some(one), Some(two)] = servers else {
        bail!("a server is missing");
    };
    Ok([one, two])
}

/// A runtime of one thread, which is the caller's.
fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn client(deployment: &Deployment) -> Result<Client> {
    let certificate = std::fs::read(deployment.data.root().join("tls/cert.pem"))?;
    let client = Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
        .https_only(true)
        .timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", address.port())
}

async fn epoch(http: &Client, address: SocketAddr) -> Result<u64> {
    let response = http.get(url(address, wire::MANIFEST_PATH)).send().await?;
    let manifest = SignedManifest::from_bytes(&response.error_for_status()?.bytes().await?)?;
    Ok(manifest.unverified().oprf_epoch)
}

/// Tokens of the provider, paid with the account's quota.
async fn fetch(http: &Client, deployment: &Deployment, address: SocketAddr) -> Result<Vec<Token>> {
    let directory = http
        .get(url(address, wire::TOKEN_DIRECTORY_PATH))
        .send()
        .await?;
    let directory = IssuerDirectory::from_json(&directory.error_for_status()?.bytes().await?)?;
    let now = protocol::time::UnixTime::now();
    let (key, _) = directory.issuing(now).context("no key issues")?;
    let name = ServerName::new(directory.issuer_name.as_deref().context("no name")?)?;
    let challenge = TokenChallenge::for_origin(TokenType::Voprf, name.clone(), name);
    let mut tokens = Vec::with_capacity(TOKENS);
    while tokens.len() < TOKENS {
        let batch = (TOKENS - tokens.len()).min(protocol::token::BATCH_MAX);
        let pending = PendingTokens::blind(&challenge, &key, batch, &mut rand::rng())?;
        let response = http
            .post(url(address, wire::TOKENS_PATH))
            .bearer_auth(&deployment.api_key)
            .header("content-type", media::TOKEN_BATCH_REQUEST)
            .body(pending.request().encode())
            .send()
            .await?;
        let response = response.error_for_status()?.bytes().await?;
        tokens.extend(pending.finalize(&BatchTokenResponse::decode(&response)?)?);
    }
    Ok(tokens)
}

/// Pays for an evaluation with a token.
async fn redeem(
    http: &Client,
    address: SocketAddr,
    token: &Token,
    epoch: u64,
) -> Result<StatusCode> {
    let csi = Csi::parse("tel:+442079460000")?;
    let batch = BlindedBatch::blind([&csi], &mut rand::rng())?;
    let request = OprfRequest {
        epoch,
        elements: batch.elements().to_vec(),
    };
    let credentials = Credentials {
        token: token.clone(),
    };
    let response = http
        .post(url(address, wire::OPRF_PATH))
        .header("authorization", credentials.to_field().as_str())
        .header("content-type", media::CBOR)
        .body(request.encode())
        .send()
        .await?;
    let status = response.status();
    // An answer counts when it has arrived.
    response.bytes().await?;
    Ok(status)
}
