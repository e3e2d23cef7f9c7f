//! Stores, a journal and a backup to try things with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::audience::AudienceHandle;
use protocol::audit::{Action, Head};
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer};
use protocol::csi::Csi;
use protocol::derivation::Salt;
use protocol::mapping::{Mapping, MappingId, Policy, Replaces};
use protocol::precedence::Version;
use protocol::time::UnixTime;
use tempfile::TempDir;

use crate::accept::Journal;
use crate::backup::{BackupError, Content, RestoreOptions, Restored, backup, restore};
use crate::progress::Progress;
use crate::senders::SenderName;
use crate::store::embedded::EmbeddedStore;
use crate::store::journaled::Journaled;
use crate::store::{
    AudienceRow, Block, Content as Held, Marks, Row, RowId, Store, StoreError, StoreKeys, Update,
    View,
};

pub(super) const NOW: UnixTime = UnixTime::from_secs(1_795_392_000);

pub(super) fn keys() -> StoreKeys {
    StoreKeys::derive(&[5; 32])
}

pub(super) fn csi(name: &str) -> Csi {
    Csi::parse(&format!("{name}@example.org")).unwrap()
}

pub(super) fn handle(number: u8) -> AudienceHandle {
    AudienceHandle::from_bytes([number; 32])
}

pub(super) fn audience(record: &[u8]) -> AudienceRow {
    AudienceRow {
        owner: SenderName::new("someone").unwrap(),
        expires: NOW.saturating_add(1000),
        record: record.to_vec(),
        salt: Salt::from_bytes([3; 16]),
    }
}

/// A bundle with opt-outs of these ids and seqs.
pub(super) fn bundle(name: &str, mappings: &[(u8, u64)]) -> Bundle {
    let (csip, holder) = (
        SigningKey::from_seed(&[1; 32]),
        SigningKey::from_seed(&[2; 32]),
    );
    let credential = Credential {
        issuer: Issuer::new("csip.example").unwrap(),
        subject: csi(name),
        holder: holder.verifying_key(),
        issued_at: NOW,
        expires: NOW.saturating_add(1000),
        assignment: 1,
    };
    let mapping = |(id, seq): &(u8, u64)| {
        let mapping = Mapping {
            subject: csi(name),
            id: MappingId([*id; 16]),
            seq: *seq,
            not_before: NOW,
            expires: NOW.saturating_add(500),
            assignment: 1,
            replaces: Replaces::SameId,
            policy: Policy::OPEN,
            entries: Vec::new(),
        };
        mapping.sign(&holder).unwrap()
    };
    Bundle::new(
        credential.issue(&csip).unwrap(),
        mappings.iter().map(mapping).collect(),
    )
    .unwrap()
}

/// A row with these mappings, after a removal of this seq.
pub(super) fn row(name: &str, mappings: &[(u8, u64)], removed: u64) -> Row {
    let version = |seq| Version { assignment: 1, seq };
    let nothing = Marks::NONE.statements;
    Row {
        marks: Marks {
            statements: if removed == 0 {
                nothing
            } else {
                version(removed)
            },
            credentials: version(NOW.as_secs()),
        },
        content: (!mappings.is_empty()).then(|| Held {
            csi: csi(name),
            bundle: bundle(name, mappings).encode().to_vec().into(),
            salt: Salt::from_bytes([7; 16]),
        }),
    }
}

/// A directory with stores and a journal.
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn store(&self, name: &str) -> EmbeddedStore {
        EmbeddedStore::open(&self.path(name), keys()).unwrap()
    }

    pub(super) fn journaled(&self) -> Journaled<EmbeddedStore> {
        Journaled::open(self.store("store"), keys(), &self.path("journal")).unwrap()
    }

    /// Ann, with two mappings, Bob and Cid, a record for an audience, a block;
    /// and a backup of that.
    pub(super) fn with_a_backup() -> Self {
        let place = Self::new();
        let store = place.journaled();
        write(&store, &[("ann", row("ann", &[(1, 10), (2, 20)], 0))]);
        write(&store, &[("bob", row("bob", &[(1, 10)], 0))]);
        write(&store, &[("cid", row("cid", &[(1, 10)], 0))]);
        update(&store, &mut |update| {
            update.put_audience(&handle(1), &audience(b"first"))?;
            update.put_audience(&handle(2), &audience(b"second"))?;
            update.block(&csi("cid"), Block::Set).map(drop)
        });
        store.note_position().unwrap();
        backup(
            &store,
            &keys(),
            &place.path("backup"),
            NOW,
            Progress::Logged,
        )
        .unwrap();
        place
    }

    pub(super) fn restore(&self, store: &dyn Store) -> Result<Restored, BackupError> {
        self.restore_as(store, &[&self.path("journal")], Content::Restored, 0)
    }

    pub(super) fn restore_as(
        &self,
        store: &dyn Store,
        journals: &[&Path],
        content: Content,
        known_entries: u64,
    ) -> Result<Restored, BackupError> {
        let options = RestoreOptions {
            keys: &keys(),
            journals,
            content,
            known_entries,
            now: NOW,
            progress: Progress::Logged,
        };
        restore(store, &self.path("backup"), &options)
    }
}

pub(super) fn update(
    store: &dyn Store,
    change: &mut dyn FnMut(&mut dyn Update) -> Result<(), StoreError>,
) {
    store.update(change).unwrap();
}

/// Puts rows and logs each.
pub(super) fn write(store: &dyn Store, rows: &[(&str, Row)]) {
    update(store, &mut |update| write_into(update, rows));
}

pub(super) fn write_into(update: &mut dyn Update, rows: &[(&str, Row)]) -> Result<(), StoreError> {
    let mut journal = Journal::open(update)?;
    for (name, row) in rows {
        journal.note(NOW, Action::Mapping, name.as_bytes());
        update.put(&csi(name), row)?;
    }
    journal.close(update).map(drop)
}

/// Everything of a store, sealed as it is.
pub(super) type All = (
    BTreeMap<RowId, Vec<u8>>,
    Vec<(RowId, Vec<u8>)>,
    Vec<(AudienceHandle, AudienceRow)>,
    Head,
);

pub(super) fn all(view: &dyn View) -> All {
    let (ids, handles) = (view.row_ids().unwrap(), view.audience_handles().unwrap());
    let rows = view.sealed_rows(&ids).unwrap();
    let audience = view.audience_rows(&handles).unwrap();
    let entries = view.audit(0, usize::MAX).unwrap();
    let head = entries
        .iter()
        .try_fold(Head::EMPTY, |head, entry| head.follow(entry));
    assert_eq!(head, Ok(view.audit_head().unwrap()));
    (
        ids.into_iter().zip(rows).collect(),
        view.sealed_blocked().unwrap(),
        handles.into_iter().zip(audience).collect(),
        head.unwrap(),
    )
}

pub(super) fn all_of(store: &dyn Store) -> All {
    all(&*store.view().unwrap())
}

/// Ids of an identifier's mappings, and the seqs of the row's marks.
pub(super) fn found(store: &dyn Store, name: &str) -> (Vec<u8>, u64) {
    let row = store.view().unwrap().find(&csi(name)).unwrap().unwrap();
    let mappings = row.content.map(|content| {
        let bundle = Bundle::decode(&content.bundle).unwrap();
        let ids = bundle
            .mappings()
            .iter()
            .map(|mapping| mapping.unverified().id.0[0]);
        ids.collect()
    });
    (mappings.unwrap_or_default(), row.marks.statements.seq)
}
