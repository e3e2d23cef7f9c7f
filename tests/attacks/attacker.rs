//! Somebody with an API key, everything that is published, and no manners.

use anyhow::{Context as _, Result, bail, ensure};
use pir_core::answer::Answer;
use pir_core::client::{Client as PirClient, ColumnIndex, PendingAnswer};
use pir_core::hint::Hint;
use pir_core::params::Params;
use protocol::bucket::{Bucket, BucketLayout};
use protocol::csi::Csi;
use protocol::hint::SnapshotHint;
use protocol::manifest::Manifest;
use protocol::oprf::{BlindedBatch, BlindedElement, OprfOutput};
use protocol::placement::BucketIndex;
use protocol::problem::Problem;
use protocol::wire::{self, OprfRequest, OprfResponse, media};
use tests::Provider;

pub(crate) struct Attacker {
    http: reqwest::Client,
    base: String,
    key: String,
    pub(crate) manifest: Manifest,
    pub(crate) params: Params,
    pub(crate) layout: BucketLayout,
    pub(crate) hint: SnapshotHint,
    pir_hint: Hint,
    pir: PirClient,
}

/// A refusal: its HTTP status and, but for routes that have none, its problem.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) problem: Problem,
}

impl Attacker {
    /// Takes everything that the provider publishes.
    pub(crate) fn of(provider: &Provider) -> Result<Self> {
        let data = provider.directory.data();
        let certificate = std::fs::read(data.root().join("tls/cert.pem"))?;
        let certificate = reqwest::Certificate::from_pem(&certificate)?;
        let snapshot = provider.snapshot();
        let manifest = snapshot.manifest().clone();
        let params = *snapshot.params();
        let hint = SnapshotHint::decode(snapshot.hint())?;
        let seed = server::snapshot::build::crs_seed(&data.provider_public_key()?);
        Ok(Self {
            http: reqwest::Client::builder()
                .tls_certs_only([certificate])
                .https_only(true)
                .build()?,
            base: format!("https://localhost:{}", provider.address.port()),
            key: provider.api_key().to_owned(),
            layout: manifest.bucket_layout()?,
            pir_hint: Hint::decode(&params, &hint.pir_hint)?,
            pir: PirClient::new(&params, &seed),
            manifest,
            params,
            hint,
        })
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        media: &str,
        body: Vec<u8>,
    ) -> Result<std::result::Result<Vec<u8>, Refusal>> {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.key)
            .header("content-type", media)
            .body(body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?.to_vec();
        if status == 200 {
            return Ok(Ok(body));
        }
        let problem = Problem::from_json(&body).with_context(|| format!("status {status}"))?;
        Ok(Err(Refusal { status, problem }))
    }

    /// Sends elements as they are.
    pub(crate) async fn evaluate(
        &self,
        elements: &[BlindedElement],
    ) -> Result<std::result::Result<OprfResponse, Refusal>> {
        let request = OprfRequest {
            epoch: self.manifest.oprf_epoch,
            elements: elements.to_vec(),
        };
        let answer = self
            .post(wire::OPRF_PATH, media::CBOR, request.encode())
            .await?;
        Ok(match answer {
            Ok(body) => Ok(OprfResponse::decode(&body)?),
            Err(refusal) => Err(refusal),
        })
    }

    /// Pays for identifiers as an honest client would.
    pub(crate) async fn outputs(&self, csis: &[&Csi]) -> Result<Vec<OprfOutput>> {
        let batch = BlindedBatch::blind(csis.iter().copied(), &mut rand::rng())?;
        match self.evaluate(batch.elements()).await? {
            Ok(response) => Ok(batch.finalize(&response.evaluation, &self.manifest.oprf_key)?),
            Err(refusal) => bail!("refused: {refusal:?}"),
        }
    }

    /// A query for a column and what decrypts its answer.
    pub(crate) fn prepare(&self, column: u32) -> Result<(Vec<u8>, PendingAnswer)> {
        let (query, pending) = self.pir.prepare(ColumnIndex::from(column))?.send();
        Ok((query.into_bytes(), pending))
    }

    /// Asks, and decrypts whatever comes.
    pub(crate) async fn ask(&self, query: Vec<u8>, pending: PendingAnswer) -> Result<Vec<u8>> {
        let path = wire::query_path(&self.manifest.snapshot);
        match self.post(&path, media::QUERY, query).await? {
            Ok(answer) => {
                let answer = Answer::decode(&self.params, &answer)?;
                Ok(pending.decrypt(&self.pir_hint, &answer)?)
            }
            Err(refusal) => bail!("refused: {refusal:?}"),
        }
    }

    /// A column, by an honest query.
    pub(crate) async fn column(&self, column: u32) -> Result<Vec<u8>> {
        let (query, pending) = self.prepare(column)?;
        self.ask(query, pending).await
    }

    /// A bucket under the manifest's root, from a column.
    pub(crate) fn bucket(&self, index: u32, column: &[u8]) -> Result<Bucket> {
        let (index, seed) = (BucketIndex::new(index), &self.manifest.filler_seed);
        let bucket = Bucket::from_column(&self.layout, index, seed, column, &self.hint.cap);
        Ok(bucket?)
    }

    /// The bucket that an output leads to.
    pub(crate) fn place_of(&self, output: &OprfOutput) -> u32 {
        let columns = self.manifest.pir.columns;
        let pilots = &self.hint.pilots;
        pilots.bucket_of(&output.locator(), columns).as_u32()
    }
}

/// Adds `times` of what selects a column to that column's element of a query: the
/// scheme is linear, so the answer is then the sum of columns, bytes modulo 256.
pub(crate) fn select_too(params: &Params, query: &mut [u8], column: u32, times: u64) -> Result<()> {
    const HEADER: usize = 16;
    let width = params.widths().query;
    ensure!((8..=32).contains(&width), "elements of {width} bits");
    let first = HEADER * 8 + (column * width) as usize;
    let bit_at = |query: &[u8], bit: usize| u64::from(query[bit / 8] >> (bit % 8) & 1);
    let element = (0..width as usize)
        .map(|bit| bit_at(query, first + bit) << bit)
        .sum::<u64>();
    // The selection is the 256th part of the modulus.
    let changed = element + (times << (width - 8));
    for bit in 0..width as usize {
        let (byte, mask) = ((first + bit) / 8, 1u8 << ((first + bit) % 8));
        query[byte] &= !mask;
        query[byte] |= mask * (changed >> bit & 1) as u8;
    }
    Ok(())
}

/// How many of these buckets' records open with any of these outputs.
pub(crate) fn opened(buckets: &[Bucket], outputs: &[OprfOutput]) -> usize {
    let records = buckets.iter().flat_map(Bucket::records);
    records
        .filter(|record| outputs.iter().any(|output| record.open(output).is_ok()))
        .count()
}
