//! What a server has on its disk when it ends is what it can start with.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use protocol::manifest::BuildId;
use protocol::time::UnixTime;
use server::http::StartError;
use server::rebuild::{Rebuilt, When};
use server::storage::Pointer;
use tests::s3::S3;
use tokio::task::block_in_place;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_here_alone_is_in_the_storage_after_a_restart() -> Result<()> {
    let s3 = S3::start().await?;
    block_in_place(|| {
        let site = Site::new(Some(s3), 75)?;
        site.publish()?;
        // Killed between the directory and the storage.
        site.change()?;
        site.build(None, BuildId(rand::random()))?;
        let here = Pointer::to(&site.published()?);
        let storage = site.storage()?.context("a storage")?;
        let there = || -> Result<_> { Ok(storage.current()?.context("a pointer")?.pointer) };
        ensure!(there()? != here);
        // Nothing is due.
        let server = site.server()?;
        ensure!(server.served().is_none());
        ensure!(matches!(server.run(When::Due)?, Rebuilt::Served(_)));
        ensure!(server.served().as_ref() == Some(&here));
        ensure!(there()? == here);
        ensure!(server.run(When::Due)? == Rebuilt::UpToDate);
        // From then on it is known, also to who can't ask.
        let config = fs::read_to_string(site.data().root().join("config.toml"))?;
        let endpoint = site.s3.as_ref().context("a storage")?.endpoint();
        let away = config.replace(&endpoint, "http://127.0.0.1:9");
        ensure!(away != config);
        fs::write(site.data().root().join("config.toml"), away)?;
        ensure!(site.server()?.served().as_ref() == Some(&here));
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_would_refuse_is_not_taken_over() -> Result<()> {
    let s3 = S3::start().await?;
    block_in_place(|| {
        let site = Site::new(Some(s3), 76)?;
        let first = site.publish()?;
        let follower = site.follower("follower")?;
        ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
        let file = follower.file()?;
        // A key that the follower has not been given yet.
        let keys = |root: &std::path::Path| root.join("keys/oprf");
        let dir = site.data().oprf_key_dir(&site.data().config()?)?;
        dir.rotate(None, UnixTime::now(), false)?;
        let second = site.publish()?;
        ensure!(second.unverified().oprf_epoch > first.unverified().oprf_epoch);
        for _ in 0..2 {
            ensure!(follower.follow().is_err());
            ensure!(follower.served() == Some(Pointer::to(&first)));
            ensure!(follower.file()? == file);
            ensure!(follower.files("sotto")?.len() == 1);
        }
        for entry in fs::read_dir(keys(site.data().root()))? {
            let entry = entry?;
            fs::copy(
                entry.path(),
                keys(follower.data.root()).join(entry.file_name()),
            )?;
        }
        ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
        ensure!(follower.served() == Some(Pointer::to(&second)));
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_does_not_come_back_over_a_newer_one() -> Result<()> {
    block_in_place(|| {
        let site = Site::new(None, 77)?;
        let server = site.server()?;
        let (data, config) = (site.data(), site.data().config()?);
        let read = || -> Result<_> { server::http::published(data, &config)?.context("one") };
        let old = read()?;
        server.state.withdraw_snapshots();
        server.state.replace_snapshot(old)?;
        let old = read()?;
        server.state.withdraw_snapshots();
        // Another one is there before that is read again.
        site.change()?;
        let new = site.publish()?;
        ensure!(matches!(server.follow()?, Rebuilt::Served(_)));
        let replaced = server.state.replace_snapshot(old);
        ensure!(matches!(replaced, Err(StartError::Older { .. })));
        ensure!(server.served() == Some(Pointer::to(&new)));
        Ok(())
    })
}
