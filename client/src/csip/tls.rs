//! TLS 1.3, the only way in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::config::TlsFiles;
use crate::durable::{self, FileError};

/// Names that the certificate made by `init` is for.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate and its key, PEM.
pub(super) struct SelfSigned {
    /// Public.
    pub(super) certificate: String,
    /// Secret.
    pub(super) key: Zeroizing<String>,
}

/// A fresh self-signed certificate for [`LOOPBACK_NAMES`].
///
/// # Errors
/// [`TlsError::Generate`].
pub(super) fn self_signed() -> Result<SelfSigned, TlsError> {
    let names: Vec<String> = LOOPBACK_NAMES.map(str::to_owned).into();
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok(SelfSigned {
        certificate: made.cert.pem(),
        key: Zeroizing::new(made.signing_key.serialize_pem()),
    })
}

/// The server's side of TLS: version 1.3 and HTTP/1.1 alone.
///
/// # Errors
/// [`TlsError`].
pub(super) fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    if let Some(mode) = durable::exposure(&files.key)? {
        return Err(TlsError::Exposed {
            path: files.key.clone(),
            mode,
        });
    }
    let read = |path: &Path| std::fs::read(path).map_err(FileError::new("read", path));
    let pem = |path: &Path, expected| TlsError::Pem {
        path: path.to_owned(),
        expected,
    };
    let certificate = read(&files.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| pem(&files.certificate, "a certificate chain"))?;
    if chain.is_empty() {
        return Err(pem(&files.certificate, "a certificate chain"));
    }
    let key = Zeroizing::new(read(&files.key)?);
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| pem(&files.key, "a private key"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Why TLS can't be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than the owner may read the key.
    #[error("{path} may be read by others (mode {mode:o}): run `chmod 600 {path}`", path = .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not PEM of the expected kind.
    #[error("{path}: expected {expected} in PEM", path = .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key don't fit together or aren't usable.
    #[error("certificate and key are not usable: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{PRIVATE, PUBLIC};

    #[test]
    fn a_fresh_certificate_is_usable_and_only_with_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: directory.path().join("cert.pem"),
            key: directory.path().join("key.pem"),
        };
        let made = self_signed().unwrap();
        let write = |path: &Path, mode, text: &str| {
            durable::replace(path, mode, text.as_bytes()).unwrap();
        };
        assert!(matches!(server_config(&files), Err(TlsError::File(_))));
        write(&files.certificate, PUBLIC, &made.certificate);
        write(&files.key, PRIVATE, &made.key);
        let config = server_config(&files).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);

        write(&files.key, PUBLIC, &made.key);
        assert!(matches!(
            server_config(&files),
            Err(TlsError::Exposed { .. })
        ));
        write(&files.key, PRIVATE, &self_signed().unwrap().key);
        assert!(matches!(server_config(&files), Err(TlsError::Unusable(_))));
        write(&files.key, PRIVATE, "nothing");
        assert!(matches!(server_config(&files), Err(TlsError::Pem { .. })));
        write(&files.certificate, PUBLIC, "");
        assert!(matches!(server_config(&files), Err(TlsError::Pem { .. })));
    }
}
