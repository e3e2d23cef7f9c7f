//! What holds of every storage: a local directory that another process publishes
//! in, and S3.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::manifest::SignedManifest;
use server::data_dir::{DataDir, DataDirError};
use server::http::StartError;
use server::log::Objects;
use server::rebuild::{RebuildError, Rebuilt};
use server::snapshot::build::Clock;
use server::snapshot::current;
use server::storage::{Pointer, StorageError};
use tests::s3::{BUCKET, S3};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::site::{Follower, Site, published};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_keeps_the_contract() -> Result<()> {
    block_in_place(|| contract(&Site::new(None, 78)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_keeps_the_contract() -> Result<()> {
    let s3 = S3::start().await?;
    block_in_place(|| contract(&Site::new(Some(s3), 78)?))
}

fn contract(site: &Site) -> Result<()> {
    let followers = [site.follower("one")?, site.follower("two")?];
    let all_follow = |manifest: &SignedManifest| -> Result<()> {
        for follower in &followers {
            ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
            ensure!(follower.served() == Some(Pointer::to(manifest)));
            ensure!(follower.follow()? == Rebuilt::UpToDate);
        }
        Ok(())
    };
    site.change()?;
    let first = site.publish()?;
    all_follow(&first)?;
    let (objects, pointer) = (site.objects()?, site.pointer());
    let old_pointer = objects.get(pointer)?.context("the pointer")?;
    let rival = site.deployment.replica("rival")?;
    site.change()?;
    let second = site.publish()?;
    all_follow(&second)?;
    // The one before is served and kept.
    for follower in &followers {
        let before = follower.state.snapshot_before().context("one before")?;
        ensure!(before.signed_manifest().digest() == first.digest());
    }
    for manifest in [&first, &second] {
        ensure!(objects.get(&site.object(manifest))?.is_some());
    }

    // Pointers that aren't the publisher's.
    let good = objects.get(pointer)?.context("the pointer")?;
    let forged = String::from_utf8(good.clone())?.replace(['1', '2', '3'], "4");
    for other in [b"{}".as_slice(), b"", forged.as_bytes(), &old_pointer] {
        objects.put(pointer, other)?;
        all_stay(&followers, &second)?;
    }
    objects.put(pointer, &old_pointer)?;
    let older = followers[0].follow();
    ensure!(
        matches!(older, Err(RebuildError::Serve(StartError::Older { .. }))),
        "{older:?}"
    );
    objects.put(pointer, &good)?;
    ensure!(followers[0].follow()? == Rebuilt::UpToDate);
    another_in_its_place(site, &rival, &followers, &second)?;

    // An object that isn't there, or is damaged.
    site.change()?;
    let third = site.publish()?;
    let name = site.object(&third);
    let whole = objects.get(&name)?.context("the object")?;
    delete(site, &name)?;
    all_stay(&followers, &second)?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    objects.put(&name, &damaged)?;
    all_stay(&followers, &second)?;
    objects.put(&name, &whole)?;
    all_follow(&third)?;

    only_one_publishes(site)?;
    what_is_old_goes(site, &followers, &*objects)
}

/// Another publisher with the same key has gone on from the same snapshot.
fn another_in_its_place(
    site: &Site,
    rival: &DataDir,
    followers: &[Follower],
    second: &SignedManifest,
) -> Result<()> {
    tests::build(rival, &rival.store()?, Clock::Trusted, None)?;
    let other = published(rival)?;
    let (served, found) = (Pointer::to(second), Pointer::to(&other));
    ensure!(found.sequence == served.sequence && found.manifest != served.manifest);
    let (objects, pointer, name) = (site.objects()?, site.pointer(), site.object(&other));
    let file = current::snapshot_path(&rival.snapshots(), found.snapshot);
    objects.put(&name, &fs::read(file)?)?;
    let good = objects.get(pointer)?.context("the pointer")?;
    let replaced = String::from_utf8(good.clone())?
        .replace(&served.manifest.to_string(), &found.manifest.to_string())
        .replace(&served.snapshot.to_string(), &found.snapshot.to_string());
    ensure!(replaced.as_bytes() != good);
    objects.put(pointer, replaced.as_bytes())?;
    for follower in followers {
        let followed = follower.follow();
        let refused = matches!(
            followed,
            Err(RebuildError::Serve(StartError::Equivocation { sequence }))
                if sequence == found.sequence
        );
        ensure!(refused, "{followed:?}");
        ensure!(follower.served().as_ref() == Some(&served));
    }
    Ok(objects.put(pointer, &good)?)
}

fn all_stay(followers: &[Follower], manifest: &SignedManifest) -> Result<()> {
    for follower in followers {
        let followed = follower.follow();
        ensure!(followed.is_err(), "{followed:?}");
        ensure!(follower.served() == Some(Pointer::to(manifest)));
    }
    Ok(())
}

fn delete(site: &Site, name: &str) -> Result<()> {
    let Some(s3) = &site.s3 else {
        return Ok(fs::remove_file(site.data().snapshots().join(name))?);
    };
    let url = format!("{}/{BUCKET}/dp/{name}", s3.endpoint());
    let deleted = Handle::current().block_on(reqwest::Client::new().delete(url).send())?;
    ensure!(deleted.status().is_success(), "{deleted:?}");
    Ok(())
}

/// The pointer moves on from the one that a publisher knows.
fn only_one_publishes(site: &Site) -> Result<()> {
    let Some(storage) = site.storage()? else {
        // There it is the lock.
        let _lock = site.data().lock()?;
        return match site.data().lock() {
            Err(DataDirError::Locked { .. }) => Ok(()),
            _ => bail!("two may publish"),
        };
    };
    let (directory, key) = (site.data().snapshots(), site.data().provider_public_key()?);
    let known = storage.synchronise(&directory, &key)?;
    site.change()?;
    let there = Pointer::to(&site.publish()?);
    let pushed = storage.push(&directory, &site.published()?, None);
    // It is what is there: done already.
    ensure!(pushed?.pointer == there);
    site.change()?;
    site.build(None, protocol::manifest::BuildId(rand::random()))?;
    for before in [None, known.as_ref()] {
        let pushed = storage.push(&directory, &site.published()?, before);
        ensure!(matches!(pushed, Err(StorageError::Raced)), "{pushed:?}");
        ensure!(storage.current()?.context("a pointer")?.pointer == there);
    }
    Ok(())
}

fn what_is_old_goes(site: &Site, followers: &[Follower], objects: &dyn Objects) -> Result<()> {
    let mut published = Vec::new();
    for _ in 0..4 {
        site.change()?;
        published.push(site.publish()?);
    }
    let newest = &published[3];
    let there = |manifest| -> Result<bool> { Ok(objects.get(&site.object(manifest))?.is_some()) };
    if let Some(storage) = site.storage()? {
        let (pointer, now) = (Pointer::to(newest), SystemTime::now());
        ensure!(storage.remove_old(&pointer, now)? == 0);
        ensure!(there(&published[0])?, "somebody may be reading it");
        ensure!(storage.remove_old(&pointer, now + Duration::from_secs(7200))? > 0);
        ensure!(storage.remove_old(&pointer, now + Duration::from_secs(7200))? == 0);
        ensure!(there(&published[1])?);
    }
    ensure!(!there(&published[0])?);
    for manifest in &published[2..] {
        ensure!(there(manifest)?);
    }
    // Who has missed some goes on with the newest, and keeps the one it served.
    for follower in followers {
        let before = follower.served();
        ensure!(matches!(follower.follow()?, Rebuilt::Served(_)));
        ensure!(follower.served() == Some(Pointer::to(newest)));
        let kept = follower.state.snapshot_before().context("one before")?;
        ensure!(Some(Pointer::to(kept.signed_manifest())) == before);
        ensure!(follower.files("sotto")?.len() == 2);
        ensure!(follower.files("download")?.is_empty());
        if site.s3.is_some() {
            // Those of the snapshots that are served.
            ensure!(log_ends(follower)? == 2);
        }
    }
    Ok(())
}

/// Checkpoints that a follower keeps.
fn log_ends(follower: &Follower) -> Result<usize> {
    let mut ends = 0;
    for entry in fs::read_dir(follower.data.snapshots().join("log"))? {
        let name = entry?.file_name();
        ends += usize::from(name.to_string_lossy().starts_with("checkpoint-"));
    }
    Ok(ends)
}
