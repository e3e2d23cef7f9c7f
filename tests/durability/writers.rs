//! Recipients' devices, which publish, replace and remove over TLS.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use protocol::inquiry::Inquiry;
use protocol::mapping::MappingId;
use protocol::problem::{Problem, ProblemType};
use protocol::removal::RemovalTarget;
use protocol::time::UnixTime;
use protocol::wire::{HolderProof, Holdings, MAPPINGS_PATH, media};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Client, Method, StatusCode};
use server::data_dir::DataDir;
use tests::Running;

use super::history::{Answer, History, OWN, Row, SHARED, Sent, WRITERS};

/// Mapping ids of one recipient.
const IDS: u8 = 4;

type Writing = Pin<Box<dyn Future<Output = Result<usize>> + Send>>;

fn client(data: &DataDir) -> Result<Client> {
    let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
    let client = Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate)?])
        .https_only(true)
        .timeout(Duration::from_secs(30));
    Ok(client.build()?)
}

fn url(server: &Running) -> String {
    format!("https://localhost:{}{MAPPINGS_PATH}", server.address.port())
}

/// Every recipient sees what is expected.
///
/// # Errors
/// What one of them sees instead.
pub(crate) async fn look(
    server: &Running,
    data: &DataDir,
    history: &History,
    expected: &[Row],
) -> Result<()> {
    let client = client(data)?;
    for (person, expected) in history.people.iter().zip(expected) {
        let inquiry = Inquiry {
            subject: person.csi.clone(),
            provider: data.provider_public_key()?.key_id(),
            issued_at: UnixTime::now(),
        };
        let proof = HolderProof {
            credential: person.credential.clone(),
            inquiry: inquiry.sign(&person.key)?,
        };
        let request = client
            .get(url(server))
            .header("authorization", proof.to_authorization());
        let answer = request.send().await?.error_for_status()?;
        let held = Holdings::decode(&answer.bytes().await?)?;
        let held = Row {
            bundle: held.bundle.map(|bundle| bundle.encode().to_vec()),
            floor: held.floor.seq,
        };
        ensure!(held == *expected, "the server shows what the store lacks");
    }
    Ok(())
}

/// Writers that go on until the server is gone: each gives the number of its
/// requests without an answer. `answered` hears of every answer.
///
/// # Errors
/// A client that can't be made.
pub(crate) fn write(
    server: &Running,
    data: &DataDir,
    history: &Arc<History>,
    mut rng: StdRng,
    answered: Sender<()>,
) -> Result<[Writing; WRITERS]> {
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(Writer {
            // A connection of its own.
            client: client(data)?,
            url: url(server),
            history: Arc::clone(history),
            writer,
            rng: StdRng::seed_from_u64(rng.random()),
            answered: answered.clone(),
        });
    }
    let writing = writers
        .into_iter()
        .map(|writer| -> Writing { Box::pin(writer.run()) });
    let writing: Vec<Writing> = writing.collect();
    match writing.try_into() {
        Ok(writing) => Ok(writing),
        Err(_) => bail!("there are {WRITERS} writers"),
    }
}

/// Whom a writer writes for: its own or all writers' recipients.
fn person(writer: usize, choice: usize) -> usize {
    match choice % (OWN + SHARED) {
        own if own < OWN => writer * OWN + own,
        shared => WRITERS * OWN + shared - OWN,
    }
}

struct Writer {
    client: Client,
    url: String,
    history: Arc<History>,
    writer: usize,
    rng: StdRng,
    answered: Sender<()>,
}

impl Writer {
    async fn run(mut self) -> Result<usize> {
        loop {
            let (sent, method, body) = self.next()?;
            let request = self
                .client
                .request(method, &self.url)
                .header("content-type", media::CBOR)
                .body(body);
            let Ok(response) = request.send().await else {
                return Ok(1);
            };
            let status = response.status();
            let Ok(body) = response.bytes().await else {
                return Ok(1);
            };
            let answer = match status {
                StatusCode::OK => Answer::Accepted(serde_json::from_slice(&body)?),
                _ => match Problem::from_json(&body)? {
                    problem if problem.kind == ProblemType::Superseded => Answer::Superseded,
                    other => bail!("{other}"),
                },
            };
            self.history.answered(&sent, answer);
            // Nobody listens after the first.
            let _ = self.answered.send(());
        }
    }

    /// A publication, or now and then a removal.
    fn next(&mut self) -> Result<(Sent, Method, Vec<u8>)> {
        let person = person(self.writer, self.rng.random_range(0..64));
        let id = self.rng.random_range(0..IDS);
        let one = RemovalTarget::Mapping(MappingId([id; 16]));
        let (method, (sent, body)) = match self.rng.random_range(0..10) {
            0 => (
                Method::DELETE,
                self.history.remove(person, RemovalTarget::All)?,
            ),
            1 | 2 => (Method::DELETE, self.history.remove(person, one)?),
            3..6 => {
                let ids = [id, (id + 1) % IDS];
                (Method::PUT, self.history.publish(person, &ids)?)
            }
            _ => (Method::PUT, self.history.publish(person, &[id])?),
        };
        Ok((sent, method, body))
    }
}
