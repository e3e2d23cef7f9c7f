//! A provider's files, for programs to serve.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use client::{ApiKey, ClientConfig};
use protocol::csi::Csi;
use protocol::lookup::Lookup;
use protocol::trust::TrustList;
use server::data_dir::DataDir;
use tempfile::TempDir;

/// The files of a provider that nothing in this process has open.
pub struct Deployment {
    pub(crate) root: TempDir,
    /// The data directory.
    pub data: DataDir,
    /// The sample's trust list.
    pub trust: TrustList,
    /// Of the account that the tests have.
    pub api_key: String,
    /// What a lookup of each identifier must say.
    pub expected: Vec<(Csi, Lookup)>,
}

impl Deployment {
    /// How a client of the tests connects.
    ///
    /// # Errors
    /// Files of the data directory that can't be read.
    pub fn client_config(&self, address: SocketAddr) -> Result<ClientConfig> {
        let certificate = fs::read(self.data.root().join("tls/cert.pem"))?;
        Ok(ClientConfig::new(
            format!("https://localhost:{}", address.port()),
            self.data.provider_public_key()?,
            self.trust.clone(),
        )
        .with_api_key(ApiKey::new(&self.api_key)?)
        .with_tls_roots(certificate))
    }

    /// The data directory of another server of the same provider.
    ///
    /// # Errors
    /// Files that can't be copied.
    pub fn replica(&self, name: &str) -> Result<DataDir> {
        let root = self.root.path().join(name);
        copy(self.data.root(), &root)?;
        Ok(DataDir::open(&root)?)
    }
}

/// Copies a directory with the permissions of its files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), &target).map(drop)?,
        }
    }
    Ok(())
}
