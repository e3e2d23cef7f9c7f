//! Which queries wait, and which of them the next pass takes.
//!
//! Each sender has a lane, first come, first served. The lanes stand in a
//! circle: a pass takes one query from each in turn, and the next pass goes on
//! where it ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Engine, ScheduleError};
use crate::senders::SenderIndex;

/// A query that waits.
pub(super) struct Job<E: Engine> {
    pub(super) sender: SenderIndex,
    pub(super) engine: Arc<E>,
    pub(super) query: E::Query,
    pub(super) since: Instant,
    pub(super) reply: oneshot::Sender<Result<E::Answer, ScheduleError>>,
}

/// How many may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Of all senders.
    pub(super) total: usize,
    /// Of each.
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
    PerSender,
}

pub(super) struct Queue<E: Engine> {
    bounds: Bounds,
    /// The one whose turn it is first; none is empty.
    lanes: VecDeque<Lane<E>>,
    length: usize,
}

struct Lane<E: Engine> {
    sender: SenderIndex,
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

    /// Adds a query and gives the one, if any, that has no room. In a full queue
    /// it displaces the newest query of the sender with most if its own sender
    /// then has no more than that one. Queries that were given up make room
    /// first.
    pub(super) fn push(&mut self, job: Job<E>) -> Option<Refused<E>> {
        if self.bound_for(job.sender).is_some() {
            self.retain(|job| !job.reply.is_closed());
        }
        let refused = match self.bound_for(job.sender) {
            None => None,
            Some(bound @ Bound::PerSender) => return Some(Refused { job, bound }),
            Some(bound @ Bound::Total) => match self.displace_for(job.sender) {
                None => return Some(Refused { job, bound }),
                Some(displaced) => Some(Refused {
                    job: displaced,
                    bound,
                }),
            },
        };
        match self.lanes.iter_mut().find(|lane| lane.sender == job.sender) {
            Some(lane) => lane.jobs.push_back(job),
            None => self.lanes.push_back(Lane {
                sender: job.sender,
                jobs: VecDeque::from([job]),
            }),
        }
        self.length += 1;
        refused
    }

    /// The queries of one pass, up to `most`, all for the engine of the one that
    /// has waited longest: no engine's queries starve.
    pub(super) fn take(&mut self, most: usize) -> Vec<Job<E>> {
        self.retain(|job| !job.reply.is_closed());
        let oldest = self.lanes.iter().filter_map(|lane| lane.jobs.front());
        let Some(oldest) = oldest.min_by_key(|job| job.since) else {
            return Vec::new();
        };
        let engine = Arc::clone(&oldest.engine);
        let mut batch = Vec::new();
        while batch.len() < most {
            // Lanes without a query for this engine keep their turn.
            let turn = self.lanes.iter().enumerate().find_map(|(at, lane)| {
                let mut jobs = lane.jobs.iter();
                let job = jobs.position(|job| Arc::ptr_eq(&job.engine, &engine))?;
                Some((at, job))
            });
            let Some((at, job)) = turn else { break };
            let Some(mut lane) = self.lanes.remove(at) else {
                break;
            };
            batch.extend(lane.jobs.remove(job));
            if !lane.jobs.is_empty() {
                self.lanes.push_back(lane);
            }
        }
        self.length -= batch.len();
        batch
    }

    /// Takes out those that have waited as long as `deadline`.
    pub(super) fn take_late(&mut self, deadline: Duration) -> Vec<Job<E>> {
        let mut late = Vec::new();
        for lane in &mut self.lanes {
            // The oldest are in front.
            let is_late = |job: &Job<E>| job.since.elapsed() >= deadline;
            let count = lane.jobs.iter().take_while(|job| is_late(job)).count();
            late.extend(lane.jobs.drain(..count));
        }
        self.tidy();
        late
    }

    fn retain(&mut self, keep: impl Fn(&Job<E>) -> bool) {
        for lane in &mut self.lanes {
            lane.jobs.retain(&keep);
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.lanes.retain(|lane| !lane.jobs.is_empty());
        self.length = self.lanes.iter().map(|lane| lane.jobs.len()).sum();
    }

    /// Queries of a sender that wait.
    fn of(&self, sender: SenderIndex) -> usize {
        let mut lanes = self.lanes.iter();
        lanes
            .find(|lane| lane.sender == sender)
            .map_or(0, |lane| lane.jobs.len())
    }

    /// The bound that another query of this sender would exceed.
    fn bound_for(&self, sender: SenderIndex) -> Option<Bound> {
        if self.of(sender) >= self.bounds.per_sender {
            Some(Bound::PerSender)
        } else if self.length >= self.bounds.total {
            Some(Bound::Total)
        } else {
            None
        }
    }

    /// Takes out the newest query of the sender with most, if `sender` has at
    /// least two fewer: displacing from one with just one more would only swap
    /// their roles.
    fn displace_for(&mut self, sender: SenderIndex) -> Option<Job<E>> {
        let own = self.of(sender);
        let most = self.lanes.iter_mut().max_by_key(|lane| lane.jobs.len())?;
        if most.jobs.len() < own + 2 {
            return None;
        }
        let displaced = most.jobs.pop_back()?;
        self.length -= 1;
        Some(displaced)
    }
}

#[cfg(test)]
mod tests;
