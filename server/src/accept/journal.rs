//! The entries of the audit log that an update adds.

use protocol::audit::{Action, Entry, Head, object_digest};
use protocol::merkle::Hash;
use protocol::time::UnixTime;

use crate::store::{StoreError, Update};

/// Entries that continue the log of a store.
#[derive(Debug)]
pub struct Journal {
    head: Head,
    entries: Vec<Entry>,
}

impl Journal {
    /// Goes on where the log of the store ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(update: &mut dyn Update) -> Result<Self, StoreError> {
        Ok(Self {
            head: update.audit_head()?,
            entries: Vec::new(),
        })
    }

    /// Notes that a signed object was accepted.
    pub fn note(&mut self, at: UnixTime, action: Action, object: &[u8]) {
        self.add(at, action, object_digest(object));
    }

    /// Notes something for which there is no signed object.
    pub fn note_unsigned(&mut self, at: UnixTime, action: Action) {
        self.add(at, action, Hash::from_bytes([0; 32]));
    }

    fn add(&mut self, at: UnixTime, action: Action, object: Hash) {
        let (entry, head) = self.head.append(at, action, object);
        self.entries.push(entry);
        self.head = head;
    }

    /// Where the log ends with what was noted so far.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Adds what was noted to the store's log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn close(self, update: &mut dyn Update) -> Result<Head, StoreError> {
        update.append_audit(&self.entries)?;
        Ok(self.head)
    }
}
