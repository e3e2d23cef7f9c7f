//! Lookups that tokens pay for, through the real server over TLS.

use anyhow::{Result, ensure};
use client::{Client, ClientError, Wallet};
use protocol::problem::ProblemType;
use protocol::time::UnixTime;
use tests::Directory;

/// A client with a wallet, and without API key, looks identifiers up; each token
/// works once; the wallet ends when they do.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_replaces_an_account() -> Result<()> {
    let mut directory = Directory::build(200, 5)?;
    let absent = directory.absent(1)?.remove(0);
    let provider = directory.serve().await?;
    let directory = &provider.directory;
    let config = provider.client_config(provider.address)?;
    let path = directory.scratch().join("wallet");
    let wallet = Wallet::open(&path, &config.dp_key)?;

    let account = Client::connect(config.clone()).await?;
    account.fetch_tokens(12, &wallet).await?;
    ensure!(wallet.summary(UnixTime::now())?.count() == 12);
    drop(account);

    let anonymous = config.clone().with_wallet(wallet);
    ensure!(anonymous.api_key.is_none() && anonymous.certificate.is_none());
    let client = Client::connect(anonymous).await?;
    let record = &directory.records[0];
    ensure!(client.lookup(&record.csi).await? == directory.expected(record)?);
    let csis: Vec<_> = directory.records[1..4]
        .iter()
        .map(|record| record.csi.clone())
        .chain([absent])
        .collect();
    let found = client.lookup_many(&csis).await;
    for (found, record) in found.into_iter().zip(&directory.records[1..4]) {
        ensure!(found? == directory.expected(record)?);
    }
    // Five identifiers, two tokens each: two are left, and pay for one more.
    ensure!(client.lookup(&record.csi).await? == directory.expected(record)?);
    let empty = client.lookup(&record.csi).await;
    ensure!(matches!(empty, Err(ClientError::Wallet(_))), "{empty:?}");
    drop(client);

    // Without wallet, API key and certificate there is nothing to look up.
    let mut nobody = config;
    nobody.api_key = None;
    let client = Client::connect(nobody).await?;
    match client.lookup(&record.csi).await {
        Err(ClientError::Problem { problem, .. }) => {
            ensure!(problem.kind == ProblemType::Unauthorized);
        }
        other => anyhow::bail!("{other:?}"),
    }
    let wallet = Wallet::open(&path, &provider.snapshot().manifest().dp_key)?;
    ensure!(wallet.summary(UnixTime::now())?.count() == 0);
    ensure!(client.fetch_tokens(1, &wallet).await.is_err());
    provider.stop().await
}

/// Copies of a wallet are of no use: the provider takes each token once.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_wallet_is_spent_once() -> Result<()> {
    let provider = Directory::build(50, 6)?.serve().await?;
    let directory = &provider.directory;
    let config = provider.client_config(provider.address)?;
    let paths = ["one", "two"].map(|name| directory.scratch().join(name));
    let wallet = Wallet::open(&paths[0], &config.dp_key)?;
    Client::connect(config.clone())
        .await?
        .fetch_tokens(2, &wallet)
        .await?;
    drop(wallet);
    std::fs::copy(&paths[0], &paths[1])?;
    let csi = &directory.records[0].csi;
    let mut results = Vec::new();
    for path in &paths {
        let wallet = Wallet::open(path, &config.dp_key)?;
        let client = Client::connect(config.clone().with_wallet(wallet)).await?;
        results.push(client.lookup(csi).await);
    }
    ensure!(results[0].is_ok(), "{results:?}");
    match &results[1] {
        Err(ClientError::Problem { problem, .. }) => {
            ensure!(problem.kind == ProblemType::Unauthorized);
        }
        other => anyhow::bail!("{other:?}"),
    }
    provider.stop().await
}
