//! A witness of somebody else's making.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use client::{Client, ClientError, LogRefusal};
use protocol::cose::SigningKey;
use protocol::log::{NoteKey, SignatureKind};
use tests::Running;
use tests::witness::{self, Witness};

use crate::operator::{
    deployment, key_of_log, know, lookup, operate, publish, requiring, until_said, until_shown,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_what_is_published_and_what_was_while_it_was_away() -> Result<()> {
    let deployment = deployment(111)?;
    let data = &deployment.data;
    let log_key = key_of_log(data)?;
    let directory = data.root().join("w1");
    let mut witness = Witness::start(&directory, "witness.example/w1", &log_key)?;
    let url = witness.url();
    know(data, &[(&witness.key, &url)])?;

    // A command that publishes asks as well. The first manifest is seen by nobody.
    let output = operate(data, &["snapshot", "build"])?;
    ensure!(output.status.success(), "{output:?}");
    let shown = operate(data, &["log", "show"])?;
    let errors = String::from_utf8(shown.stderr)?;
    ensure!(errors.contains("cosigned by 1 of 1"), "{errors}");
    let earlier = data.root().join("earlier");
    fs::write(&earlier, &shown.stdout)?;

    // So does the server, which doesn't know how much the witness has seen.
    let server = Running::start(data)?;
    let config = deployment.client_config(server.address)?;
    let required = requiring(&config, &[&witness.key])?;
    until_shown(&required, 2).await?;
    for sequence in 3..6 {
        publish(&server)?;
        until_shown(&required, sequence).await?;
    }
    let found = lookup(&deployment, &server, &witness.key)?;
    ensure!(found.status.success(), "{found:?}");
    ensure!(
        witness.status()?.contains("\"size\": 5"),
        "{}",
        witness.status()?
    );

    // Away: what is published is served all the same, and it is said once.
    witness.stop();
    publish(&server)?;
    until_shown(&config, 6).await?;
    until_said(&server, "the checkpoint is not cosigned", 1).await?;
    let refused = lookup(&deployment, &server, &witness.key)?;
    let errors = String::from_utf8(refused.stderr)?;
    let reason = "0 of the witnesses have cosigned the provider's log, 1 must";
    ensure!(
        !refused.status.success() && errors.contains(reason),
        "{errors}"
    );
    // Several attempts later.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let said = server.said()?;
    ensure!(said.matches("not cosigned").count() == 1, "{said}");

    // Back, with what it remembered.
    witness.resume()?;
    until_shown(&required, 6).await?;
    let found = lookup(&deployment, &server, &witness.key)?;
    ensure!(found.status.success(), "{found:?}");

    // Somebody else's program verifies the log, the cosignature, and that it only grew.
    let shown = operate(data, &["log", "show"])?;
    let now = data.root().join("now");
    fs::write(&now, &shown.stdout)?;
    let port = server.address.port();
    let verified = Command::new(witness::program("aics-tlog")?)
        .env("SSL_CERT_FILE", data.root().join("tls/cert.pem"))
        .arg("verify-consistency")
        .args(["--tiles", &format!("https://localhost:{port}/v1/log")])
        .args(["--log-key", &log_key.to_string()])
        .args(["--witness-key", &witness.key.to_string(), "--quorum", "1"])
        .args(["--origin", log_key.name()])
        .arg("--old-checkpoint")
        .arg(&earlier)
        .output()?;
    ensure!(verified.status.success(), "{verified:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cosignature_by_another_key_is_refused_and_the_checkpoint_stays() -> Result<()> {
    let deployment = deployment(112)?;
    let data = &deployment.data;
    let log_key = key_of_log(data)?;
    let witness = Witness::start(&data.root().join("w"), "witness.example/w", &log_key)?;
    // Its name, and another key.
    let other = NoteKey::new(
        "witness.example/w",
        SignatureKind::Cosignature,
        SigningKey::from_seed(&[7; 32]).verifying_key(),
    )?;
    let url = witness.url();
    know(data, &[(&other, &url)])?;
    let server = Running::start(data)?;
    until_said(&server, "it cosigned with another key", 1).await?;
    let config = deployment.client_config(server.address)?;
    Client::connect(config.clone()).await?;
    let refused = Client::connect(requiring(&config, &[&other])?).await;
    let found = matches!(
        refused.map(drop),
        Err(ClientError::Log(LogRefusal::Witnesses {
            found: 0,
            quorum: 1
        }))
    );
    ensure!(found, "another refusal");

    // Once the file is right, the next manifest is cosigned, in the same log.
    know(data, &[(&witness.key, &url)])?;
    publish(&server)?;
    until_shown(&requiring(&config, &[&witness.key])?, 2).await?;

    // A witness that has seen another log of the same provider is said to have.
    let snapshots = data.root().join("snapshots");
    drop(server);
    fs::rename(&snapshots, data.root().join("lost"))?;
    fs::create_dir(&snapshots)?;
    for _ in 0..3 {
        let output = operate(data, &["snapshot", "build"])?;
        ensure!(output.status.success(), "{output:?}");
        let errors = String::from_utf8(output.stderr)?;
        ensure!(errors.contains("it has seen another log"), "{errors}");
    }
    Ok(())
}
