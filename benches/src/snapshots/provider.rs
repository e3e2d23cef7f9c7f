//! A provider with a store of sample recipients.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use client::{ApiKey, ClientConfig};
use protocol::bundle;
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::lookup::Lookup;
use protocol::manifest::SnapshotId;
use protocol::time::UnixTime;
use rayon::prelude::*;
use server::data_dir::{DataDir, InitOptions};
use server::sample::{BATCH, Sample, SampleRecord};
use server::senders::SenderName;
use server::store::{Content, Marks, Row, Store, Update};
use zeroize::Zeroizing;

/// Identifiers whose answers are known, the last of them absent.
const KNOWN: usize = 256;

/// Of these, how many the directory has.
const LISTED: usize = 200;

/// A change is of one recipient in so many.
const CHANGED_OF: usize = 1000;

pub(super) struct Provider {
    pub(super) data: DataDir,
    pub(super) store: Arc<dyn Store>,
    /// What lookups must find.
    pub(super) known: Vec<(Csi, Lookup)>,
    api_key: String,
    sample: Sample,
    /// Rows that changes take turns in.
    changing: Vec<(Csi, Row)>,
    root: tempfile::TempDir,
}

impl Provider {
    /// Puts `recipients` into a store. They are signed and not verified: importing
    /// is measured elsewhere.
    pub(super) fn new(recipients: u64) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let now = UnixTime::now();
        let mut sample = Sample::new(rand::random(), now)?;
        let options = InitOptions {
            trust: Some(sample.trust().to_toml()),
            listen: None,
        };
        let data = DataDir::init(&root.path().join("data"), &options)?;
        let mut senders = data.senders()?;
        let key = senders.add(SenderName::new("bench")?, now, &mut rand::rng())?;
        senders.write(&data.senders_path())?;
        let store: Arc<dyn Store> = Arc::from(data.store()?);

        let recipients = usize::try_from(recipients)?;
        let changing = (recipients / CHANGED_OF).max(1);
        let (mut known, mut rows, mut left) = (Vec::new(), Vec::new(), recipients);
        while left > 0 {
            let records = sample.next_batch(left.min(BATCH))?;
            left -= records.len();
            for record in records.iter().take(LISTED - known.len().min(LISTED)) {
                let bundle = record.bundle()?;
                let lookup = bundle::evaluate(Some(&bundle), &record.csi, sample.trust(), now);
                known.push((record.csi.clone(), lookup));
            }
            let put = records
                .par_iter()
                .map(row)
                .collect::<Result<Vec<(Csi, Row)>>>()?;
            store.update(&mut |update: &mut dyn Update| {
                put.iter().try_for_each(|(csi, row)| update.put(csi, row))
            })?;
            rows.extend(put.into_iter().take(changing - rows.len().min(changing)));
        }
        known.extend(
            sample
                .absent(KNOWN - known.len())?
                .into_iter()
                .map(|csi| (csi, Lookup::NoMapping)),
        );
        Ok(Self {
            data,
            store,
            known,
            api_key: key.as_str().to_owned(),
            sample,
            changing: rows,
            root,
        })
    }

    /// Gives one recipient in a thousand a record with another ciphertext, as
    /// publishing anew does.
    pub(super) fn change(&self) -> Result<()> {
        let rng = &mut rand::rng();
        let mut rows = self.changing.clone();
        for (_, row) in &mut rows {
            let content = row.content.as_mut().context("a row with content")?;
            content.salt = Salt::random(rng);
        }
        self.store.update(&mut |update: &mut dyn Update| {
            rows.iter().try_for_each(|(csi, row)| update.put(csi, row))
        })?;
        Ok(())
    }

    /// Where a snapshot's file is kept when the data directory has forgotten it.
    pub(super) fn kept(&self, id: SnapshotId) -> PathBuf {
        self.root.path().join(id.to_string())
    }

    pub(super) fn store_bytes(&self) -> Result<u64> {
        let path = self.data.root().join("store.redb");
        let metadata = std::fs::metadata(&path);
        Ok(metadata
            .with_context(|| format!("no {}", path.display()))?
            .len())
    }

    pub(super) fn client_config(&self, url: &str) -> Result<ClientConfig> {
        let certificate = std::fs::read(self.data.root().join("tls/cert.pem"))?;
        let key = self.data.provider_public_key()?;
        let config = ClientConfig::new(url, key, self.sample.trust().clone());
        Ok(config
            .with_api_key(ApiKey::new(&self.api_key)?)
            .with_tls_roots(certificate))
    }
}

fn row(record: &SampleRecord) -> Result<(Csi, Row)> {
    let content = Content {
        csi: record.csi.clone(),
        bundle: Zeroizing::new(record.bundle()?.encode().to_vec()),
        salt: Salt::random(&mut rand::rng()),
    };
    let row = Row {
        marks: Marks::NONE,
        content: Some(content),
    };
    Ok((record.csi.clone(), row))
}
