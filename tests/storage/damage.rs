//! A follower verifies all of a download before it takes the place of anything.

use anyhow::{Context as _, Result, ensure};
use protocol::manifest::BuildId;
use server::rebuild::{RebuildError, Rebuilt};
use server::snapshot::build::manifest_of;
use server::storage::{Pointer, StorageError};
use tests::s3::S3;
use tokio::task::block_in_place;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_download_takes_no_place_and_a_whole_one_does_later() -> Result<()> {
    let s3 = S3::start().await?;
    block_in_place(|| follow_damage(s3))
}

fn follow_damage(s3: S3) -> Result<()> {
    let site = Site::new(Some(s3), 71)?;
    let id = BuildId([7; 16]);
    site.publish_as(id)?;
    let first = site.publish_as(id)?;
    let follower = site.follower("follower")?;
    ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
    let file = follower.file()?;

    // The same content under another manifest: its file has the same name.
    let second = site.publish_as(id)?;
    ensure!(first.unverified().snapshot == second.unverified().snapshot);
    ensure!(first.digest() != second.digest());
    let (objects, name) = (site.objects()?, site.object(&second));
    let whole = objects.get(&name)?.context("the object")?;
    for at in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        objects.put(&name, &damaged)?;
        let refused = follower.follow();
        ensure!(
            matches!(
                refused,
                Err(RebuildError::Storage(StorageError::Refused {
                    sequence: 4,
                    ..
                }))
            ),
            "{refused:?}"
        );
        // The same object isn't downloaded again and again.
        let refused = follower.follow();
        ensure!(
            matches!(
                refused,
                Err(RebuildError::Storage(StorageError::StillRefused { .. }))
            ),
            "{refused:?}"
        );
        ensure!(follower.served() == Some(Pointer::to(&first)));
        ensure!(follower.file()? == file, "the file of the served one");
        ensure!(follower.files("download")?.is_empty());
    }
    // A manifest that is good and another's.
    let before = objects.get(&site.object(&first))?.context("the object")?;
    objects.put(&name, &before)?;
    let other = follower.follow();
    ensure!(
        matches!(
            other,
            Err(RebuildError::Storage(StorageError::Other { sequence: 4 }))
        ),
        "{other:?}"
    );
    ensure!(follower.file()? == file && follower.files("download")?.is_empty());

    objects.put(&name, &whole)?;
    ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
    ensure!(follower.served() == Some(Pointer::to(&second)));
    let [path] = &follower.files("sotto")?[..] else {
        anyhow::bail!("other files");
    };
    let key = follower.data.provider_public_key()?;
    ensure!(manifest_of(path, &key)?.digest() == second.digest());
    Ok(())
}
