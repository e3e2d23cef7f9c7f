//! Publishing in the storage, whatever step of it fails, and by whose credentials.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use axum::http::Method;
use protocol::manifest::BuildId;
use server::data_dir::DataDir;
use server::memory::Memory;
use server::progress::Progress;
use server::snapshot::Snapshot;
use server::storage::{Pointer, Storage};
use tests::s3::S3;
use tokio::task::block_in_place;

use crate::proxy::{Proxy, Rest, Side};
use crate::site::{Site, configure};

#[tokio::test(flavor = "multi_thread")]
async fn whichever_step_fails_the_storage_has_the_old_snapshot_or_the_new_one() -> Result<()> {
    let s3 = S3::start().await?;
    let proxy = Proxy::start(&s3).await?;
    block_in_place(|| fail_every_step(s3, &proxy))
}

fn fail_every_step(s3: S3, proxy: &Proxy) -> Result<()> {
    let site = Site::new(Some(s3), 72)?;
    site.publish()?;
    let direct = site.storage()?.context("a storage")?;
    let s3 = site.s3.as_ref().context("a server")?;
    let config = s3.config("publisher");
    configure(
        site.data(),
        &config.replace(&s3.endpoint(), &proxy.endpoint()),
    )?;
    let through = site.storage()?.context("a storage")?;
    let (directory, key) = (site.data().snapshots(), site.data().provider_public_key()?);

    // Killed before a step; and a step that was done, of which the answer was lost.
    for (side, rest) in [(Side::Before, Rest::Fails), (Side::After, Rest::Works)] {
        let (mut failures, mut successes) = (0, 0);
        for step in 0.. {
            site.change()?;
            let before = direct.current()?.context("a pointer")?.pointer;
            let build = || site.build(Some(&through), BuildId(rand::random()));
            let (built, failed) = proxy.failing(step, side, rest, build);
            let new = Pointer::to(&site.published()?);
            let there = require_whole(&direct, site.data())?;
            ensure!(there == before || there == new, "step {step}, {side:?}");
            ensure!(before != new, "nothing was built");
            match built {
                Ok(()) => ensure!(there == new, "step {step}, {side:?}"),
                Err(_) => ensure!(failed, "step {step}, {side:?}: {built:?}"),
            }
            if !failed {
                break;
            }
            failures += 1;
            successes += u32::from(built.is_ok());
            // What the next publication begins with makes up for it.
            through.synchronise(&directory, &key)?;
            ensure!(require_whole(&direct, site.data())? == new);
            // The disk need not hold all of them.
            direct.remove_old(&new, SystemTime::now() + Duration::from_secs(7200))?;
        }
        // Upload: begun, three parts, ended; two objects of the log; the pointer.
        ensure!(failures == 8, "{failures} failures");
        // Only the pointer's put is known to have been done.
        ensure!(successes == u32::from(side == Side::After), "{successes}");
    }
    Ok(())
}

/// What is published there, downloaded, verified and loaded with its log.
fn require_whole(storage: &Storage, data: &DataDir) -> Result<Pointer> {
    let pointer = storage.current()?.context("a pointer")?.pointer;
    let key = data.provider_public_key()?;
    let scratch = tempfile::tempdir()?;
    storage.fetch(&pointer, scratch.path(), &key)?.place()?;
    let (memory, progress) = (Memory::OfSystem, Progress::Logged);
    let snapshot = Snapshot::load(scratch.path(), pointer.snapshot, &key, memory, progress)?;
    ensure!(Pointer::to(snapshot.signed_manifest()) == pointer);
    Ok(pointer)
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_and_a_large_file_goes_in_parts() -> Result<()> {
    let s3 = S3::start().await?;
    let proxy = Proxy::start(&s3).await?;
    let site = block_in_place(|| Site::new(None, 73))?;
    // The builder opens the store itself.
    let deployment = site.close();
    let data = &deployment.data;
    let config = s3
        .config("publisher")
        .replace(&s3.endpoint(), &proxy.endpoint());
    let config = config.replace("credentials_file = \"s3.toml\"\n", "");
    configure(data, &config)?;
    fs::remove_file(data.root().join("s3.toml"))?;
    let build = || {
        let mut command = Command::new(tests::program("sotto-server")?);
        let command = command
            .arg("--data")
            .arg(data.root())
            .args(["build", "--once"]);
        let command = command.env("AWS_ACCESS_KEY_ID", "from-the-environment");
        Ok(command.env("AWS_SECRET_ACCESS_KEY", "a secret").output()?)
    };
    let output: Result<_> = block_in_place(build);
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");

    let seen = proxy.seen();
    let by = "Credential=from-the-environment/";
    let is_signed = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(by));
    ensure!(seen.iter().all(|seen| is_signed(&seen.authorization)));
    let parts = seen.iter().filter(|seen| seen.method == Method::PUT);
    let parts = parts
        .filter(|seen| seen.path.contains("partNumber="))
        .count();
    ensure!(parts >= 3, "{parts} parts");
    let options = data.config()?.storage.s3(data.root())?;
    ensure!(options.is_some_and(|options| options.credentials.is_none()));
    // Joined, they are the file.
    crate::put_credentials(data)?;
    configure(data, &s3.config("publisher"))?;
    block_in_place(|| {
        let storage = data.storage(&data.config()?)?.context("a storage")?;
        require_whole(&storage, data).map(drop)
    })
}
