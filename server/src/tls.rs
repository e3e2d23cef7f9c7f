//! TLS 1.3, the only way in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::durable::FileError;
use crate::keys::{self, KeyError};

/// Names that the certificate made by `init` is for.
pub const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why TLS can't be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key's file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not PEM of the expected kind.
    #[error("{path}: expected {expected} in PEM", path = .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The authorities of clients' certificates.
    #[error("{path}: not usable for clients' certificates: {reason}", path = .path.display())]
    ClientAuthorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// Certificate and key don't fit together or aren't usable.
    #[error("certificate and key are not usable: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

/// A certificate and its key, PEM.
pub struct SelfSigned {
    /// Public.
    pub certificate: String,
    /// Secret.
    pub key: Zeroizing<String>,
}

/// A fresh self-signed certificate for [`LOOPBACK_NAMES`].
///
/// # Errors
/// [`TlsError::Generate`].
pub fn self_signed() -> Result<SelfSigned, TlsError> {
    let names: Vec<String> = LOOPBACK_NAMES.map(str::to_owned).into();
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok(SelfSigned {
        certificate: made.cert.pem(),
        key: Zeroizing::new(made.signing_key.serialize_pem()),
    })
}

/// The server's side of TLS: version 1.3 alone, HTTP/2 and HTTP/1.1.
///
/// With `client_authorities`, a PEM file, clients may show a certificate that one
/// of them issued. None must: who has no certificate has an API key or tokens.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(
    certificate: &Path,
    key: &Path,
    client_authorities: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    keys::refuse_exposed(key)?;
    let chain = certificates(certificate, "a certificate chain")?;
    let key_text = Zeroizing::new(std::fs::read(key).map_err(FileError::new("read", key))?);
    let secret = PrivateKeyDer::from_pem_slice(&key_text).map_err(|_| TlsError::Pem {
        path: key.to_owned(),
        expected: "a private key",
    })?;
    let clients = match client_authorities {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(path) => client_verifier(path)?,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, secret)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Certificates in PEM, at least one.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::Pem`].
pub fn certificates(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(FileError::new("read", path))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::Pem {
            path: path.to_owned(),
            expected,
        }),
    }
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |reason: String| TlsError::ClientAuthorities {
        path: path.to_owned(),
        reason,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "certificates of authorities")? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{self, PRIVATE, PUBLIC};

    #[test]
    fn a_fresh_certificate_is_usable_and_only_with_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            directory.path().join("cert.pem"),
            directory.path().join("key.pem"),
        );
        let made = self_signed().unwrap();
        durable::create(&certificate, PUBLIC, made.certificate.as_bytes()).unwrap();
        durable::create(&key, PRIVATE, made.key.as_bytes()).unwrap();
        let config = server_config(&certificate, &key, None).unwrap();
        assert_eq!(
            config.alpn_protocols,
            [b"h2".to_vec(), b"http/1.1".to_vec()]
        );

        durable::replace(&key, PUBLIC, made.key.as_bytes()).unwrap();
        assert!(matches!(
            server_config(&certificate, &key, None),
            Err(TlsError::Key(KeyError::Exposed { .. }))
        ));
        durable::replace(&key, PRIVATE, self_signed().unwrap().key.as_bytes()).unwrap();
        assert!(matches!(
            server_config(&certificate, &key, None),
            Err(TlsError::Unusable(_))
        ));
        durable::replace(&key, PRIVATE, b"nothing").unwrap();
        assert!(matches!(
            server_config(&certificate, &key, None),
            Err(TlsError::Pem { .. })
        ));
        durable::replace(&certificate, PUBLIC, b"").unwrap();
        assert!(matches!(
            server_config(&certificate, &key, None),
            Err(TlsError::Pem { .. })
        ));
        durable::replace(&certificate, PUBLIC, made.certificate.as_bytes()).unwrap();
        durable::replace(&key, PRIVATE, made.key.as_bytes()).unwrap();
        assert!(server_config(&certificate, &key, Some(&certificate)).is_ok());
        assert!(matches!(
            server_config(&certificate, &key, Some(&key)),
            Err(TlsError::Pem { .. })
        ));
        let missing = directory.path().join("none.pem");
        assert!(matches!(
            server_config(&missing, &key, None),
            Err(TlsError::File(_))
        ));
    }
}
