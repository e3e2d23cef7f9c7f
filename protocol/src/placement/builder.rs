//! Choosing the pilots.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::{BucketIndex, PilotTable, PlacementError, bucket_of, group_count, group_of};
use crate::derivation::{Locator, Tag};

/// Where a snapshot's records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The pilot of every group.
    pub pilots: PilotTable,
    /// The bucket of every record, in the order of the input.
    pub buckets: Vec<BucketIndex>,
    /// Bytes of the records in the fullest bucket.
    pub fullest_bytes: u32,
}

/// Places records, each a locator and its bytes in a bucket, into `columns`
/// buckets that hold `capacity_bytes` each. The result depends on nothing else,
/// not even on the records' order.
///
/// Groups are taken by descending bytes; each gets the pilot that keeps the
/// buckets most even, by the sum over its records of length × (load after)^8.
/// Two records with the same tag are never put into the same bucket.
///
/// # Errors
/// [`PlacementError::RecordTooLarge`], [`PlacementError::DuplicateLocator`],
/// [`PlacementError::TooManyRecords`]; [`PlacementError::DoesNotFit`] if a
/// group has no pilot that fits.
pub fn place(
    records: &[(Locator, u32)],
    columns: u32,
    capacity_bytes: u32,
) -> Result<Placement, PlacementError> {
    if u32::try_from(records.len()).is_err() {
        return Err(PlacementError::TooManyRecords {
            found: records.len(),
        });
    }
    if let Some(record) = records.iter().position(|&(_, len)| len > capacity_bytes) {
        return Err(PlacementError::RecordTooLarge {
            record,
            capacity: capacity_bytes,
            found: records[record].1,
        });
    }
    let shared_tags = shared_tags(records)?;
    let groups = Groups::of(records, &shared_tags);
    let does_not_fit = || PlacementError::DoesNotFit {
        records: records.len(),
        bytes: records.iter().map(|&(_, len)| u64::from(len)).sum(),
        columns,
        capacity: capacity_bytes,
    };
    if columns == 0 {
        return Err(does_not_fit());
    }

    let mut buckets = Buckets::empty(columns, capacity_bytes);
    let mut pilots = vec![0; groups.count()];
    for group in groups.by_descending_bytes() {
        let members = groups.members(group);
        let pilot = buckets.best_pilot(members).ok_or_else(does_not_fit)?;
        buckets.insert(members, pilot);
        pilots[group] = pilot;
    }

    let pilots = PilotTable::new(pilots)?;
    Ok(Placement {
        buckets: records
            .iter()
            .map(|(locator, _)| pilots.bucket_of(locator, columns))
            .collect(),
        pilots,
        // `best_pilot` keeps at least the one bucket that `columns` has.
        fullest_bytes: buckets.load.into_iter().max().unwrap_or(0),
    })
}

#[derive(Clone, Copy)]
struct Member {
    placement_hash: u64,
    len: u32,
    /// Set if another record of the snapshot has the same tag.
    shared_tag: Option<Tag>,
}

/// The members of every group, one group after another.
struct Groups {
    members: Vec<Member>,
    /// Where group `g` starts; one more entry for the end.
    starts: Vec<usize>,
}

impl Groups {
    fn of(records: &[(Locator, u32)], shared_tags: &HashSet<Tag>) -> Self {
        let count = group_count(records.len());
        let mut starts = vec![0; count + 1];
        for (locator, _) in records {
            starts[group_of(locator, count) + 1] += 1;
        }
        for group in 0..count {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let vacant = Member {
            placement_hash: 0,
            len: 0,
            shared_tag: None,
        };
        let mut members = vec![vacant; records.len()];
        for (locator, len) in records {
            let at = &mut next[group_of(locator, count)];
            members[*at] = Member {
                placement_hash: locator.placement_hash,
                len: *len,
                shared_tag: shared_tags.get(&locator.tag).copied(),
            };
            *at += 1;
        }
        for group in 0..count {
            members[starts[group]..starts[group + 1]].sort_unstable_by_key(|member| {
                (member.placement_hash, member.len, member.shared_tag)
            });
        }
        Self { members, starts }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn members(&self, group: usize) -> &[Member] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }

    fn by_descending_bytes(&self) -> Vec<usize> {
        let bytes = |group| -> u64 {
            let members = self.members(group);
            members.iter().map(|member| u64::from(member.len)).sum()
        };
        let mut order: Vec<usize> = (0..self.count()).collect();
        order.sort_by_cached_key(|&group| (Reverse(bytes(group)), group));
        order
    }
}

/// Steps from an empty to a full bucket in the weighing of loads.
const LOAD_STEPS: u64 = 1024;

struct Buckets {
    columns: u32,
    capacity: u32,
    load: Vec<u32>,
    /// `LOAD_STEPS / capacity`, as a fraction of 2^32.
    steps_per_byte: u64,
    /// Cost of a byte in a bucket that is `step / LOAD_STEPS` full.
    weights: Vec<u64>,
    /// Tags that several records have, where they are already.
    shared_tags: HashSet<(BucketIndex, Tag)>,
}

impl Buckets {
    fn empty(columns: u32, capacity: u32) -> Self {
        Self {
            columns,
            capacity,
            load: vec![0; columns as usize],
            steps_per_byte: (LOAD_STEPS << 32) / u64::from(capacity.max(1)),
            // step^8 / 2^44 is at most 2^36: the cost of a group of less than
            // 2^27 bytes doesn't saturate.
            weights: (0..=LOAD_STEPS)
                .map(|step| (u128::from(step).pow(8) >> 44) as u64)
                .collect(),
            shared_tags: HashSet::new(),
        }
    }

    /// The pilot of least cost among those where no bucket overflows.
    fn best_pilot(&mut self, members: &[Member]) -> Option<u8> {
        let mut best = None;
        let mut best_cost = u64::MAX;
        for pilot in 0..=u8::MAX {
            let cost = self.cost(members, pilot, best_cost);
            if let Some(cost) = cost
                && self.separates_shared_tags(members, pilot)
            {
                best_cost = cost;
                best = Some(pilot);
            }
        }
        best
    }

    /// The cost of the pilot if it is below `limit` and no bucket overflows.
    fn cost(&mut self, members: &[Member], pilot: u8, limit: u64) -> Option<u64> {
        let mut cost = 0u64;
        let mut tried = 0;
        for member in members {
            let bucket = bucket_of(member.placement_hash, pilot, self.columns);
            let load = &mut self.load[bucket.as_u32() as usize];
            // Both are at most `capacity`: the sum is compared in 64 bits.
            let after = u64::from(*load) + u64::from(member.len);
            if after > u64::from(self.capacity) {
                cost = u64::MAX;
                break;
            }
            *load = after as u32;
            tried += 1;
            // At most `LOAD_STEPS`, since `after` is at most the capacity.
            let step = (after * self.steps_per_byte) >> 32;
            let weight = self.weights[step as usize];
            let added = weight.saturating_mul(u64::from(member.len));
            cost = cost.saturating_add(added).min(u64::MAX - 1);
            if cost >= limit {
                break;
            }
        }
        for member in &members[..tried] {
            let bucket = bucket_of(member.placement_hash, pilot, self.columns);
            self.load[bucket.as_u32() as usize] -= member.len;
        }
        (cost < limit).then_some(cost)
    }

    fn separates_shared_tags(&self, members: &[Member], pilot: u8) -> bool {
        let mut own = HashSet::new();
        members.iter().all(|member| {
            member.shared_tag.is_none_or(|tag| {
                let bucket = bucket_of(member.placement_hash, pilot, self.columns);
                !self.shared_tags.contains(&(bucket, tag)) && own.insert((bucket, tag))
            })
        })
    }

    fn insert(&mut self, members: &[Member], pilot: u8) {
        for member in members {
            let bucket = bucket_of(member.placement_hash, pilot, self.columns);
            self.load[bucket.as_u32() as usize] += member.len;
            if let Some(tag) = member.shared_tag {
                self.shared_tags.insert((bucket, tag));
            }
        }
    }
}

/// The tags that more than one record has: with 64 bits, hardly ever any.
fn shared_tags(records: &[(Locator, u32)]) -> Result<HashSet<Tag>, PlacementError> {
    let mut tags: Vec<Tag> = records.iter().map(|(locator, _)| locator.tag).collect();
    tags.sort_unstable();
    let shared: HashSet<Tag> = tags
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    if shared.is_empty() {
        return Ok(shared);
    }
    let mut seen = HashMap::new();
    for (second, (locator, _)) in records.iter().enumerate() {
        if !shared.contains(&locator.tag) {
            continue;
        }
        let whole = (locator.tag, locator.group_hash, locator.placement_hash);
        if let Some(first) = seen.insert(whole, second) {
            return Err(PlacementError::DuplicateLocator { first, second });
        }
    }
    Ok(shared)
}
