//! Backups from one kind of store into the other.

use anyhow::Result;
use protocol::audience::AudienceHandle;
use protocol::derivation::Salt;
use protocol::time::UnixTime;
use server::backup::{self, Content, RestoreOptions};
use server::progress::Progress;
use server::senders::SenderName;
use server::store::embedded::EmbeddedStore;
use server::store::journaled::Journaled;
use server::store::{AudienceRow, Block, Store, StoreKeys};
use tests::postgres::Cluster;

use super::{KEY, count, csi, open};

#[test]
fn stores_are_moved_into_one_another_bit_for_bit() -> Result<()> {
    let (directory, cluster) = (tempfile::tempdir()?, Cluster::start(None)?);
    let (keys, now) = (StoreKeys::derive(&KEY), UnixTime::now());
    let path = |name: &str| directory.path().join(name);
    let embedded = |name: &str| EmbeddedStore::open(&path(name), StoreKeys::derive(&KEY));
    let journal = path("journal");

    let first = Journaled::open(embedded("first")?, StoreKeys::derive(&KEY), &journal)?;
    for number in 0..50 {
        first.update(&mut |update| count(update, number))?;
    }
    first.update(&mut |update| {
        let row = AudienceRow {
            owner: SenderName::new("someone").expect("a name"),
            expires: now.saturating_add(1000),
            record: b"record".to_vec(),
            salt: Salt::from_bytes([3; 16]),
        };
        update.put_audience(&AudienceHandle::from_bytes([1; 32]), &row)?;
        update.block(&csi(7), Block::Set).map(drop)
    })?;
    first.note_position()?;
    let second = open(cluster.url("postgres"))?;
    let third = embedded("third")?;

    let stores: [&dyn Store; 3] = [&first, &second, &third];
    for (at, pair) in stores.windows(2).enumerate() {
        let file = path(&format!("backup{at}"));
        let counts = backup::backup(pair[0], &keys, &file, now, Progress::Logged)?;
        assert_eq!((counts.rows, counts.audience, counts.entries), (50, 1, 50));
        let options = RestoreOptions {
            keys: &keys,
            journals: &[&journal],
            content: Content::Restored,
            known_entries: 50,
            now,
            progress: Progress::Logged,
        };
        backup::restore(pair[1], &file, &options)?;
    }
    let views = [first.view()?, second.view()?, third.view()?];
    let ids = views[0].row_ids()?;
    let handles = views[0].audience_handles()?;
    for view in &views[1..] {
        assert!(view.row_ids()? == ids && view.audience_handles()? == handles);
        assert!(view.sealed_rows(&ids)? == views[0].sealed_rows(&ids)?);
        assert!(view.sealed_blocked()? == views[0].sealed_blocked()?);
        assert_eq!(
            view.audience_rows(&handles)?,
            views[0].audience_rows(&handles)?
        );
        assert_eq!(view.audit(0, 100)?, views[0].audit(0, 100)?);
        assert_eq!(view.audit_head()?, views[0].audit_head()?);
    }
    // Made at the same time, the files are the same.
    assert!(std::fs::read(path("backup0"))? == std::fs::read(path("backup1"))?);
    Ok(())
}
