//! Places for request bodies: memory that those who send slowly can hold.
//!
//! Accounts have most of them, one account at most half of these. Those who pay
//! with tokens have others, and each token holds one at most: nobody who is known
//! waits for anybody who isn't.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Error;
use crate::senders::SenderIndex;

/// Bodies of accounts in memory at a time: of a quarter of a megabyte at most.
const ACCOUNTS_MAX: usize = 256;

/// Of one account.
const ACCOUNT_MAX: usize = 128;

/// Bodies of those who pay with tokens: of half a megabyte at most.
const TOKENS_MAX: usize = 64;

/// Who holds which places.
pub(super) struct Places {
    accounts: Arc<Semaphore>,
    tokens: Arc<Semaphore>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    accounts: HashMap<SenderIndex, usize>,
    /// By the name under which each will be spent.
    tokens: HashSet<[u8; 32]>,
}

/// A place, given back when it is dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    holder: Holder,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy)]
enum Holder {
    Account(SenderIndex),
    Token([u8; 32]),
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            accounts: Arc::new(Semaphore::new(ACCOUNTS_MAX)),
            tokens: Arc::new(Semaphore::new(TOKENS_MAX)),
            held: Mutex::default(),
        }
    }

    /// A place for an account's request.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none, or the account has its share.
    pub(super) fn of_account(&self, account: SenderIndex) -> Result<Place<'_>, Error> {
        let permit = free(&self.accounts)?;
        let mut held = self.lock();
        let count = held.accounts.entry(account).or_default();
        if *count == ACCOUNT_MAX {
            return Err(Error::Busy);
        }
        *count += 1;
        Ok(self.place(Holder::Account(account), permit))
    }

    /// A place for a request that is paid with this token.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is none, or the token holds one.
    pub(super) fn of_token(&self, spent_id: [u8; 32]) -> Result<Place<'_>, Error> {
        let permit = free(&self.tokens)?;
        if !self.lock().tokens.insert(spent_id) {
            return Err(Error::Busy);
        }
        Ok(self.place(Holder::Token(spent_id), permit))
    }

    fn place(&self, holder: Holder, permit: OwnedSemaphorePermit) -> Place<'_> {
        Place {
            places: self,
            holder,
            _permit: permit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Every change is complete before anything can panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn free(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Error::Busy)
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        match self.holder {
            Holder::Account(account) => give_back(&mut held.accounts, account),
            Holder::Token(token) => {
                held.tokens.remove(&token);
            }
        }
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_leaves_half_to_others_and_tokens_have_their_own() {
        let places = Places::new();
        let (one, two) = (SenderIndex::from(0), SenderIndex::from(1));
        let mut held: Vec<_> = (0..ACCOUNT_MAX)
            .map(|_| places.of_account(one).ok().unwrap())
            .collect();
        assert!(matches!(places.of_account(one), Err(Error::Busy)));
        let others: Vec<_> = (ACCOUNT_MAX..ACCOUNTS_MAX)
            .map(|_| places.of_account(two).ok().unwrap())
            .collect();
        assert!(matches!(places.of_account(two), Err(Error::Busy)));
        drop(others);
        held.pop();
        assert!(places.of_account(one).is_ok());
        drop(held);
        assert!(places.lock().accounts.is_empty());
    }

    #[test]
    fn a_token_holds_one_place() {
        let places = Places::new();
        let first = places.of_token([0; 32]).ok().unwrap();
        assert!(matches!(places.of_token([0; 32]), Err(Error::Busy)));
        drop(first);
        let held: Vec<_> = (0..TOKENS_MAX as u8)
            .map(|token| places.of_token([token; 32]).ok().unwrap())
            .collect();
        assert!(matches!(places.of_token([255; 32]), Err(Error::Busy)));
        assert!(places.of_account(SenderIndex::from(0)).is_ok());
        drop(held);
        assert!(places.lock().tokens.is_empty());
    }
}
