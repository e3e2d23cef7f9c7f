//! Which queries wait, and which of them the next pass takes.
//!
//! Each account has a lane, and in it each of its senders one, first come, first
//! served. The lanes stand in a circle, and so do those in a lane: a pass takes
//! one query from each account in turn, from one of its senders in turn, and the
//! next pass goes on where it ended. So neither an account nor a sender of it can
//! keep others waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Account, Engine, Requester, ScheduleError};

/// A query that waits.
pub(super) struct Job<E: Engine> {
    pub(super) requester: Requester,
    pub(super) engine: Arc<E>,
    pub(super) query: E::Query,
    pub(super) since: Instant,
    pub(super) reply: oneshot::Sender<Result<E::Answer, ScheduleError>>,
}

/// How many may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of all accounts.
    pub(super) total: usize,
    /// Of each account.
    pub(super) per_account: usize,
    /// Of each sender of an account.
    pub(super) per_sender: usize,
}

/// A query that found no room, and why.
pub(super) struct Refused<E: Engine> {
    pub(super) job: Job<E>,
    pub(super) bound: Bound,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Total,
    PerAccount,
    PerSender,
}

pub(super) struct Queue<E: Engine> {
    bounds: Bounds,
    /// The one whose turn it is first; none is empty.
    lanes: VecDeque<Lane<E>>,
    length: usize,
}

/// The queries of an account.
struct Lane<E: Engine> {
    account: Account,
    /// The one whose turn it is first; none is empty.
    senders: VecDeque<SenderLane<E>>,
    length: usize,
}

struct SenderLane<E: Engine> {
    sender: u64,
    jobs: VecDeque<Job<E>>,
}

impl<E: Engine> Queue<E> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: VecDeque::new(),
            length: 0,
        }
    }

    /// Queries that wait.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Adds a query and gives the one, if any, that has no room. Where an account
    /// or the queue is full it displaces the newest query of whoever has most, if
    /// its own requester then has no more than that one. Queries that were given
    /// up make room first.
    pub(super) fn push(&mut self, job: Job<E>) -> Option<Refused<E>> {
        if self.bound_for(job.requester).is_some() {
            self.retain(|job| !job.reply.is_closed());
        }
        let displaced = match self.bound_for(job.requester) {
            None => None,
            Some(bound) => {
                let displaced = match bound {
                    Bound::PerSender => None,
                    Bound::PerAccount => self.displace_within(job.requester),
                    Bound::Total => self.displace_for(job.requester),
                };
                match displaced {
                    None => return Some(Refused { job, bound }),
                    Some(displaced) => Some(Refused {
                        job: displaced,
                        bound,
                    }),
                }
            }
        };
        let account = job.requester.account;
        match self.lanes.iter_mut().find(|lane| lane.account == account) {
            Some(lane) => lane.push(job),
            None => {
                let mut lane = Lane {
                    account,
                    senders: VecDeque::new(),
                    length: 0,
                };
                lane.push(job);
                self.lanes.push_back(lane);
            }
        }
        self.length += 1;
        displaced
    }

    /// The queries of one pass, up to `most`, all for the engine of the one that
    /// has waited longest: no engine's queries starve.
    pub(super) fn take(&mut self, most: usize) -> Vec<Job<E>> {
        self.retain(|job| !job.reply.is_closed());
        let senders = self.lanes.iter().flat_map(|lane| &lane.senders);
        let oldest = senders.filter_map(|sender| sender.jobs.front());
        let Some(oldest) = oldest.min_by_key(|job| job.since) else {
            return Vec::new();
        };
        let engine = Arc::clone(&oldest.engine);
        let mut batch = Vec::new();
        while batch.len() < most {
            // Lanes without a query for this engine keep their turn.
            let turn = self.lanes.iter().enumerate().find_map(|(at, lane)| {
                let (sender, job) = lane.first_for(&engine)?;
                Some((at, sender, job))
            });
            let Some((at, sender, job)) = turn else { break };
            let Some(mut lane) = self.lanes.remove(at) else {
                break;
            };
            batch.extend(lane.take(sender, job));
            if lane.length > 0 {
                self.lanes.push_back(lane);
            }
        }
        self.length -= batch.len();
        batch
    }

    /// Takes out those that have waited as long as `deadline`.
    pub(super) fn take_late(&mut self, deadline: Duration) -> Vec<Job<E>> {
        let mut late = Vec::new();
        for sender in self.lanes.iter_mut().flat_map(|lane| &mut lane.senders) {
            // The oldest are in front.
            let is_late = |job: &Job<E>| job.since.elapsed() >= deadline;
            let count = sender.jobs.iter().take_while(|job| is_late(job)).count();
            late.extend(sender.jobs.drain(..count));
        }
        self.tidy();
        late
    }

    fn retain(&mut self, keep: impl Fn(&Job<E>) -> bool) {
        for sender in self.lanes.iter_mut().flat_map(|lane| &mut lane.senders) {
            sender.jobs.retain(&keep);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        for lane in &mut self.lanes {
            lane.senders.retain(|sender| !sender.jobs.is_empty());
            lane.length = lane.senders.iter().map(|sender| sender.jobs.len()).sum();
        }
        self.lanes.retain(|lane| lane.length > 0);
        self.length = self.lanes.iter().map(|lane| lane.length).sum();
    }

    fn lane(&self, account: Account) -> Option<&Lane<E>> {
        self.lanes.iter().find(|lane| lane.account == account)
    }

    /// Whether another query of this requester would be refused at once.
    pub(super) fn refuses(&mut self, requester: Requester) -> Option<Bound> {
        self.bound_for(requester)?;
        self.retain(|job| !job.reply.is_closed());
        let bound = self.bound_for(requester)?;
        let own = self.lane(requester.account);
        let within = own.is_some_and(|own| own.most() >= own.of(requester.sender) + 2);
        let length = own.map_or(0, |own| own.length);
        let displaces = match bound {
            Bound::PerSender => false,
            Bound::PerAccount => within,
            Bound::Total => within || self.lanes.iter().any(|lane| lane.length >= length + 2),
        };
        (!displaces).then_some(bound)
    }

    /// The bound that another query of this requester would exceed, the narrowest
    /// first.
    fn bound_for(&self, requester: Requester) -> Option<Bound> {
        let lane = self.lane(requester.account);
        // Who pays with tokens is no sender that could be told from others.
        let known = requester.account != Account::Tokens;
        if known && lane.map_or(0, |lane| lane.of(requester.sender)) >= self.bounds.per_sender {
            Some(Bound::PerSender)
        } else if lane.map_or(0, |lane| lane.length) >= self.bounds.per_account {
            Some(Bound::PerAccount)
        } else if self.length >= self.bounds.total {
            Some(Bound::Total)
        } else {
            None
        }
    }

    /// Takes out the newest query of the account with most, if the requester's
    /// account has at least two fewer: displacing from one with just one more
    /// would only swap their roles. Otherwise one of its own account.
    fn displace_for(&mut self, requester: Requester) -> Option<Job<E>> {
        let own = self.lane(requester.account).map_or(0, |lane| lane.length);
        let most = self.lanes.iter_mut().max_by_key(|lane| lane.length)?;
        if most.length < own + 2 {
            return self.displace_within(requester);
        }
        let displaced = most.displace(0)?;
        self.length -= 1;
        Some(displaced)
    }

    /// The same among the senders of the requester's account.
    fn displace_within(&mut self, requester: Requester) -> Option<Job<E>> {
        let mut lanes = self.lanes.iter_mut();
        let lane = lanes.find(|lane| lane.account == requester.account)?;
        let displaced = lane.displace(lane.of(requester.sender) + 2)?;
        self.length -= 1;
        Some(displaced)
    }
}

impl<E: Engine> Lane<E> {
    fn push(&mut self, job: Job<E>) {
        let sender = job.requester.sender;
        self.length += 1;
        match self.senders.iter_mut().find(|lane| lane.sender == sender) {
            Some(lane) => lane.jobs.push_back(job),
            None => self.senders.push_back(SenderLane {
                sender,
                jobs: VecDeque::from([job]),
            }),
        }
    }

    /// Queries of a sender that wait.
    fn of(&self, sender: u64) -> usize {
        let mut senders = self.senders.iter();
        senders
            .find(|lane| lane.sender == sender)
            .map_or(0, |lane| lane.jobs.len())
    }

    /// Queries of the sender with most.
    fn most(&self) -> usize {
        let lengths = self.senders.iter().map(|lane| lane.jobs.len());
        lengths.max().unwrap_or(0)
    }

    /// Whose turn it is among those with a query for this engine, and which one.
    fn first_for(&self, engine: &Arc<E>) -> Option<(usize, usize)> {
        self.senders.iter().enumerate().find_map(|(at, sender)| {
            let mut jobs = sender.jobs.iter();
            let job = jobs.position(|job| Arc::ptr_eq(&job.engine, engine))?;
            Some((at, job))
        })
    }

    /// Takes a query of a sender, who then waits for all others' turns.
    fn take(&mut self, sender: usize, job: usize) -> Option<Job<E>> {
        let mut lane = self.senders.remove(sender)?;
        let job = lane.jobs.remove(job)?;
        if !lane.jobs.is_empty() {
            self.senders.push_back(lane);
        }
        self.length -= 1;
        Some(job)
    }

    /// Takes out the newest query of the sender with most, if those are at least
    /// so many. Some remain: whoever is displaced from had at least two.
    fn displace(&mut self, at_least: usize) -> Option<Job<E>> {
        let most = self.senders.iter_mut().max_by_key(|lane| lane.jobs.len())?;
        if most.jobs.len() < at_least {
            return None;
        }
        let displaced = most.jobs.pop_back()?;
        self.senders.retain(|lane| !lane.jobs.is_empty());
        self.length -= 1;
        Some(displaced)
    }
}

#[cfg(test)]
mod tests;
