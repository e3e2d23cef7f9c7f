//! Two publishers that go on from the same snapshot: of one number, one manifest is
//! served.

use anyhow::{Context as _, Result, ensure};
use protocol::manifest::BuildId;
use server::data_dir::DataDir;
use server::http::{self, StartError};
use server::rebuild::{Rebuilt, When};
use server::snapshot::build::Clock;
use server::storage::{Pointer, Storage};
use tests::s3::S3;
use tokio::task::block_in_place;

use crate::proxy::Proxy;
use crate::site::{Site, configure, published};

/// Publishes from another directory, in the place of what it was copied with.
fn publish(rival: &DataDir, storage: &Storage) -> Result<Pointer> {
    tests::build(rival, &rival.store()?, Clock::Trusted, Some(storage))?;
    Ok(Pointer::to(&published(rival)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_again_serves_what_won_and_not_what_was_built() -> Result<()> {
    let s3 = S3::start().await?;
    block_in_place(|| {
        let site = Site::new(Some(s3), 79)?;
        let first = Pointer::to(&site.publish()?);
        let rival = site.deployment.replica("rival")?;
        let storage = site.storage()?.context("a storage")?;
        // Killed before it was in the storage.
        site.change()?;
        site.build(None, BuildId(rand::random()))?;
        let lost = Pointer::to(&site.published()?);
        let won = publish(&rival, &storage)?;
        ensure!(won.sequence == lost.sequence && won.manifest != lost.manifest);

        let server = site.server()?;
        ensure!(server.served().is_none(), "it isn't known who has won");
        ensure!(matches!(server.run(When::Due)?, Rebuilt::Served(_)));
        let mut served = server.served().context("nothing is served")?;
        ensure!(served == won || served.sequence > won.sequence);
        // What the other publisher's store doesn't have follows.
        server.run(When::Now)?;
        served = server.served().context("nothing is served")?;
        ensure!(served.sequence > won.sequence);
        ensure!(storage.current()?.context("a pointer")?.pointer == served);
        ensure!(served.sequence > first.sequence + 1);
        ensure!(server.files("sotto")?.len() == 2);
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_a_race_serves_the_winner_at_once() -> Result<()> {
    let s3 = S3::start().await?;
    let proxy = Proxy::start(&s3).await?;
    block_in_place(|| {
        let through = s3
            .config("publisher")
            .replace(&s3.endpoint(), &proxy.endpoint());
        let site = Site::new(Some(s3), 80)?;
        site.publish()?;
        let rival = site.deployment.replica("rival")?;
        let direct = site.storage()?.context("a storage")?;
        configure(site.data(), &through)?;
        let server = site.server()?;
        let before = server.served().context("nothing is served")?;
        site.change()?;
        // While the pointer is on its way.
        let (run, rival_published) =
            proxy.racing(move || publish(&rival, &direct), || server.run(When::Now));
        let won = rival_published.context("nobody was faster")??;
        ensure!(matches!(run?, Rebuilt::Served(_)));
        ensure!(won.sequence == before.sequence + 1);
        ensure!(server.served() == Some(won));
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn another_manifest_in_the_place_of_the_served_one_is_refused_by_a_publisher() -> Result<()> {
    block_in_place(|| {
        let site = Site::new(None, 81)?;
        let rival = site.deployment.replica("rival")?;
        let server = site.server()?;
        site.change()?;
        ensure!(matches!(server.run(When::Now)?, Rebuilt::Served(_)));
        let served = server.served();
        tests::build(&rival, &rival.store()?, Clock::Trusted, None)?;
        let other =
            || -> Result<_> { http::published(&rival, &rival.config()?)?.context("a snapshot") };
        let sequence = other()?.manifest().sequence;
        for withdrawn in [false, true] {
            if withdrawn {
                server.state.withdraw_snapshots();
            }
            let replaced = server.state.replace_snapshot(other()?);
            let refused = matches!(
                replaced,
                Err(StartError::Equivocation { sequence: found }) if found == sequence
            );
            ensure!(refused, "{replaced:?}");
            ensure!(server.served() == served.clone().filter(|_| !withdrawn));
        }
        Ok(())
    })
}
