//! Senders that are known by a TLS certificate instead of an API key.

use anyhow::Result;
use client::{Client, ClientCertificate, ClientError};
use protocol::problem::ProblemType;
use protocol::time::UnixTime;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use server::senders::{CertificateDigest, SenderName};
use tests::Directory;

/// An authority that issues certificates to senders.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate, and the same in PEM with its key.
    fn issue(&self) -> Result<(CertificateDigest, ClientCertificate)> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["msp.example".to_owned()])?;
        let certificate = params.signed_by(&key, &self.0)?;
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        Ok((
            CertificateDigest::of(certificate.der()),
            ClientCertificate::from_pem(pem),
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_certificate_opens_and_no_other_does() -> Result<()> {
    let directory = Directory::build(200, 5)?;
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let (digest, known) = authority.issue()?;
    let (_, unknown) = authority.issue()?;
    let (foreign_digest, foreign) = stranger.issue()?;
    let data = directory.data();
    let mut senders = data.senders()?;
    let now = UnixTime::now();
    senders.add_with_certificate(SenderName::new("msp")?, now, digest)?;
    // Its digest is known, but none of the provider's authorities has issued it.
    senders.add_with_certificate(SenderName::new("foreign")?, now, foreign_digest)?;
    senders.write(&data.senders_path())?;
    std::fs::write(data.root().join("tls/senders.pem"), authority.pem())?;
    let path = data.root().join("config.toml");
    let text = std::fs::read_to_string(&path)?.replace(
        "client_authorities = \"\"",
        "client_authorities = \"tls/senders.pem\"",
    );
    std::fs::write(&path, text)?;

    let provider = directory.serve().await?;
    let record = &provider.directory.records[0];
    let expected = provider.directory.expected(record)?;
    let with_key = provider.client_config(provider.address)?;
    let mut without = with_key.clone();
    without.api_key = None;

    for config in [
        with_key.clone(),
        with_key.clone().with_certificate(unknown.clone()),
        without.clone().with_certificate(known),
    ] {
        let client = Client::connect(config).await?;
        assert_eq!(client.lookup(&record.csi).await?, expected);
    }
    for config in [without.clone(), without.clone().with_certificate(unknown)] {
        // What is published needs no account.
        let client = Client::connect(config).await?;
        match client.lookup(&record.csi).await {
            Err(ClientError::Problem { problem, .. }) => {
                assert_eq!(problem.kind, ProblemType::Unauthorized);
            }
            other => panic!("{other:?}"),
        }
    }
    let refused = Client::connect(without.with_certificate(foreign)).await;
    assert!(
        matches!(refused, Err(ClientError::Transport { .. })),
        "{refused:?}"
    );
    provider.stop().await
}
