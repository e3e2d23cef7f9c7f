//! Snapshots in S3-compatible storage: one server publishes, others follow; of two
//! publishers one wins each time; what is damaged there is not served.

#[path = "storage/contract.rs"]
mod contract;
#[path = "storage/damage.rs"]
mod damage;
#[path = "storage/interrupted.rs"]
mod interrupted;
#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/publishing.rs"]
mod publishing;
#[path = "storage/races.rs"]
mod races;
#[path = "storage/restarts.rs"]
mod restarts;
#[path = "storage/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use client::{Client, ClientConfig};
use protocol::csi::Csi;
use server::data_dir::DataDir;
use server::log::Objects as _;
use server::snapshot::build::{Clock, published_manifest};
use server::storage::{PublishError, Storage, StorageError};
use server::store::{Block, Store, Update};
use tests::s3::S3;
use tests::{Directory, Running};

const PATIENCE: Duration = Duration::from_secs(60);

const QUIET: &str = "listen = \"127.0.0.1:0\"\n[snapshot]\ninterval_secs = 0\n";

fn with_storage(s3: &S3, role: &str) -> String {
    format!("{QUIET}{}", s3.config(role))
}

fn put_credentials(data: &DataDir) -> Result<()> {
    let path = data.root().join("s3.toml");
    fs::write(&path, S3::CREDENTIALS)?;
    Ok(fs::set_permissions(
        &path,
        fs::Permissions::from_mode(0o600),
    )?)
}

fn storage(data: &DataDir) -> Result<Storage> {
    let options = data.config()?.storage.s3(data.root())?;
    Ok(Storage::open(&options.context("a storage")?)?)
}

/// Builds and publishes what a data directory's store holds.
fn publish(data: &DataDir, store: &dyn Store) -> Result<u64> {
    let storage = storage(data)?;
    let built = tests::build(data, store, Clock::Trusted, Some(&storage));
    built.map_err(anyhow::Error::from)?;
    sequence(data)
}

fn sequence(data: &DataDir) -> Result<u64> {
    let manifest = published_manifest(&data.snapshots(), &data.provider_public_key()?)?;
    Ok(manifest
        .context("nothing is published")?
        .unverified()
        .sequence)
}

/// Withholding a record makes another snapshot.
fn change(store: &dyn Store, csi: &Csi, block: Block) -> Result<()> {
    Ok(store.update(&mut |update: &mut dyn Update| update.block(csi, block).map(drop))?)
}

async fn until_served(config: &ClientConfig, sequence: u64) -> Result<Client> {
    let begun = Instant::now();
    loop {
        if let Ok(client) = Client::connect(config.clone()).await
            && client.snapshot().manifest().sequence >= sequence
        {
            return Ok(client);
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "manifest {sequence} is not served"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_serve_what_one_publisher_publishes() -> Result<()> {
    let s3 = S3::start().await?;
    let publisher = Directory::build_with(60, 61, Some(QUIET))?.hand_over()?;
    put_credentials(&publisher.data)?;
    // Followers have the keys, and nothing that was published.
    let mut followers = Vec::new();
    for name in ["one", "two"] {
        let data = publisher.replica(name)?;
        fs::remove_dir_all(data.snapshots())?;
        fs::create_dir(data.snapshots())?;
        // They sign nothing.
        fs::remove_file(data.root().join("keys/dp.key"))?;
        fs::write(
            data.root().join("config.toml"),
            with_storage(&s3, "follower"),
        )?;
        followers.push(Running::start(&data)?);
    }
    let config = with_storage(&s3, "publisher");
    fs::write(publisher.data.root().join("config.toml"), config)?;
    let store = publisher.data.store()?;
    let csi = &publisher.expected[0].0;
    let mut last = 0;
    for round in 0..3 {
        let block = if round % 2 == 0 {
            Block::Set
        } else {
            Block::Lift
        };
        change(&store, csi, block)?;
        let (data, store) = (&publisher.data, &store);
        last = tokio::task::block_in_place(|| publish(data, store))?;
        for follower in &followers {
            let config = publisher.client_config(follower.address)?;
            let client = until_served(&config, last).await?;
            for (csi, expected) in &publisher.expected[1..6] {
                ensure!(client.lookup(csi).await? == *expected);
            }
        }
    }
    ensure!(last == 4, "{last}");

    // What the pointer names and isn't there is not served, and said.
    let storage = storage(&publisher.data)?;
    let replace = |from: String, to: String| -> Result<()> {
        tokio::task::block_in_place(|| {
            let pointer = storage.get("current.json")?.context("a pointer")?;
            let pointer = String::from_utf8(pointer)?;
            ensure!(pointer.contains(&from), "{pointer}");
            Ok(storage.put("current.json", pointer.replace(&from, &to).as_bytes())?)
        })
    };
    let key = publisher.data.provider_public_key()?;
    let manifest = published_manifest(&publisher.data.snapshots(), &key)?;
    let good = manifest.context("a manifest")?.digest().to_string();
    let forged = "ab".repeat(32);
    replace(good.clone(), forged.clone())?;
    for follower in &followers {
        let begun = Instant::now();
        while !follower.said()?.contains("no new snapshot") {
            ensure!(begun.elapsed() < PATIENCE, "nothing was said");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let client = Client::connect(publisher.client_config(follower.address)?).await?;
        ensure!(client.snapshot().manifest().sequence == last);
    }
    replace(forged, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishers_one_wins_and_the_other_goes_on_from_there() -> Result<()> {
    let s3 = S3::start().await?;
    let one = Directory::build_with(40, 62, Some(QUIET))?.hand_over()?;
    put_credentials(&one.data)?;
    fs::write(
        one.data.root().join("config.toml"),
        with_storage(&s3, "publisher"),
    )?;
    let two = one.replica("two")?;
    tokio::task::block_in_place(|| -> Result<()> {
        let stores = [one.data.store()?, two.store()?];
        let csi = &one.expected[0].0;
        // The first publishes what it had before there was a storage, and one more.
        change(&stores[0], csi, Block::Set)?;
        ensure!(publish(&one.data, &stores[0])? == 2);
        // The second takes that over first.
        ensure!(publish(&two, &stores[1])? == 3);

        // Both go out from the same one: the pointer moves once.
        let (first, second) = (storage(&one.data)?, storage(&two)?);
        let key = one.data.provider_public_key()?;
        let before = first.synchronise(&one.data.snapshots(), &key)?;
        change(&stores[1], csi, Block::Set)?;
        ensure!(publish(&two, &stores[1])? == 4);
        let manifest = tests::build(&one.data, &stores[0], Clock::Trusted, None)
            .map_err(anyhow::Error::from)
            .and_then(|_| Ok(published_manifest(&one.data.snapshots(), &key)?))?
            .context("a manifest")?;
        let pushed = first.push(&one.data.snapshots(), &manifest, before.as_ref());
        ensure!(matches!(pushed, Err(StorageError::Raced)), "{pushed:?}");
        let current = second.current()?.context("a pointer")?;
        ensure!(current.pointer.sequence == 4);

        // And the loser goes on from the winner's.
        ensure!(publish(&one.data, &stores[0])? == 5);
        ensure!(publish(&two, &stores[1])? == 6);

        // What is missing there is an error, and nothing is lost here.
        drop(s3);
        match tests::build(&one.data, &stores[0], Clock::Trusted, Some(&first)) {
            Err(PublishError::Storage(StorageError::Service { .. })) => {}
            other => bail!("{other:?}"),
        }
        ensure!(sequence(&one.data)? == 5);
        Ok(())
    })
}
