//! A download goes on where it was interrupted.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use axum::http::Method;
use server::rebuild::Rebuilt;
use server::storage::Pointer;
use tests::s3::S3;
use tokio::task::block_in_place;

use crate::proxy::Proxy;
use crate::site::{Follower, Site};

/// Bytes until a download is interrupted: more than half of a snapshot.
const CUT: usize = 20 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_where_it_stopped() -> Result<()> {
    let s3 = S3::start().await?;
    let proxy = Proxy::start(&s3).await?;
    block_in_place(|| interrupt(s3, &proxy))
}

fn interrupt(s3: S3, proxy: &Proxy) -> Result<()> {
    let site = Site::new(Some(s3), 74)?;
    let follower = site.follower_at("follower", &proxy.endpoint())?;

    let first = site.publish()?;
    let length = cut(proxy, &follower)?;
    ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
    ensure!(follower.served() == Some(Pointer::to(&first)));
    ensure!(begins(proxy) == [length]);
    ensure!(follower.files("download")?.is_empty());

    // What was kept has been damaged: from the beginning.
    site.change()?;
    let second = site.publish()?;
    let length = cut(proxy, &follower)?;
    let path = follower.files("download")?.pop().context("a part")?;
    let mut part = fs::read(&path)?;
    part[length / 2] ^= 1;
    fs::write(&path, part)?;
    ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
    ensure!(follower.served() == Some(Pointer::to(&second)));
    ensure!(begins(proxy) == [length, 0]);

    // And what isn't published any more goes.
    site.change()?;
    site.publish()?;
    cut(proxy, &follower)?;
    site.change()?;
    let fourth = site.publish()?;
    ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
    ensure!(follower.served() == Some(Pointer::to(&fourth)));
    ensure!(begins(proxy) == [0]);
    ensure!(follower.files("download")?.is_empty());
    ensure!(follower.files("sotto")?.len() == 2);
    Ok(())
}

/// Interrupts a download; gives how many bytes are kept of it.
fn cut(proxy: &Proxy, follower: &Follower) -> Result<usize> {
    let before = follower.served();
    proxy.cut(Some(CUT));
    ensure!(follower.follow().is_err(), "it wasn't interrupted");
    proxy.cut(None);
    ensure!(follower.served() == before);
    let [path] = &follower.files("download")?[..] else {
        anyhow::bail!("no part is kept");
    };
    let length = fs::metadata(path)?.len() as usize;
    ensure!(0 < length && length <= CUT, "{length} bytes");
    Ok(length)
}

/// Where the reads of snapshots began.
fn begins(proxy: &Proxy) -> Vec<usize> {
    let seen = proxy.seen().into_iter();
    let reads = seen.filter(|seen| seen.method == Method::GET && seen.path.contains(".sotto"));
    let ranges = reads.map(|seen| seen.range.unwrap_or_default());
    let begin = |range: String| {
        let range = range.strip_prefix("bytes=")?.split('-').next()?.parse();
        range.ok()
    };
    ranges
        .map(|range| begin(range).unwrap_or(usize::MAX))
        .collect()
}
