//! What was sent and what was answered, and what a store may hold after it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use protocol::audit::{Action, Head, object_digest};
use protocol::bundle::Bundle;
use protocol::cose::SigningKey;
use protocol::credential::{Credential, Issuer, SignedCredential};
use protocol::csi::Csi;
use protocol::mapping::{
    Entry, Mapping, MappingId, MspDomain, Policy, Preference, Replaces, SignedMapping,
};
use protocol::merkle::Hash;
use protocol::precedence::Version;
use protocol::removal::{Removal, RemovalTarget, SignedRemoval};
use protocol::time::UnixTime;
use protocol::wire::{Receipt, RemovalRequest};
use server::store::View;

/// Writers, each with identifiers of its own.
pub(crate) const WRITERS: usize = 6;

/// Identifiers of each writer alone.
pub(crate) const OWN: usize = 2;

/// Identifiers that all writers write to, as devices of one holder.
pub(crate) const SHARED: usize = 3;

const ASSIGNMENT: u64 = 1;

/// The recipients and all that was stated about them.
pub(crate) struct History {
    csip: SigningKey,
    pub(crate) people: Vec<Person>,
    stated: Mutex<Stated>,
}

/// One recipient.
pub(crate) struct Person {
    pub(crate) csi: Csi,
    pub(crate) key: SigningKey,
    pub(crate) credential: SignedCredential,
}

/// What a store holds of one recipient.
#[derive(PartialEq, Eq, Default)]
pub(crate) struct Row {
    pub(crate) bundle: Option<Vec<u8>>,
    pub(crate) floor: u64,
}

/// How much was answered with a receipt.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) publications: usize,
    pub(crate) removals: usize,
    /// Statements that came too late for a newer one.
    pub(crate) replaced: usize,
}

#[derive(Default)]
struct Stated {
    statements: Vec<Statement>,
    /// Statement and object of each digest.
    objects: HashMap<Hash, (usize, usize)>,
    /// Of each person.
    last_seq: BTreeMap<usize, u64>,
}

struct Statement {
    person: usize,
    says: Says,
    /// `None` if none came.
    answer: Option<Answer>,
}

/// What is stated.
#[derive(Clone)]
pub(crate) enum Says {
    /// A credential with one or several mappings.
    Publishes(Vec<SignedMapping>),
    /// A removal.
    Removes(Box<SignedRemoval>),
}

/// What a server answered.
pub(crate) enum Answer {
    /// It is written.
    Accepted(Receipt),
    /// Something newer had been written.
    Superseded,
}

/// A statement to be sent: its place in the history.
pub(crate) struct Sent(usize);

impl History {
    /// Recipients with credentials, who have stated nothing.
    ///
    /// # Errors
    /// None that happen.
    pub(crate) fn new() -> Result<Self> {
        let csip = SigningKey::from_seed(&[1; 32]);
        let now = UnixTime::now();
        let person = |number: usize| -> Result<Person> {
            let csi = Csi::parse(&format!("person-{number}@example.org"))?;
            let key = SigningKey::from_seed(&[u8::try_from(number)? + 2; 32]);
            let credential = Credential {
                issuer: Issuer::new("csip.example")?,
                subject: csi.clone(),
                holder: key.verifying_key(),
                issued_at: now.saturating_sub(3600),
                expires: now.saturating_add(86_400),
                assignment: ASSIGNMENT,
            };
            let credential = credential.issue(&csip)?;
            Ok(Person {
                csi,
                key,
                credential,
            })
        };
        let people = (0..WRITERS * OWN + SHARED).map(person);
        Ok(Self {
            people: people.collect::<Result<_>>()?,
            stated: Mutex::default(),
            csip,
        })
    }

    /// The trust list of the server.
    pub(crate) fn trust(&self) -> String {
        let key = self.csip.verifying_key().to_text();
        format!(
            "[[csip]]\nissuer = \"csip.example\"\nkey = \"{key}\"\nscopes = [\"mailto:*@example.org\"]\n"
        )
    }

    /// Notes a publication, before it is sent: one mapping for each id.
    ///
    /// # Errors
    /// None that happen.
    pub(crate) fn publish(&self, person: usize, ids: &[u8]) -> Result<(Sent, Vec<u8>)> {
        let Person {
            csi,
            key,
            credential,
        } = &self.people[person];
        let seq = self.next_seq(person);
        let claims = credential.unverified();
        let sign = |id: &u8| -> Result<SignedMapping> {
            let msp = MspDomain::parse(&format!("msp{}.example", seq % 100))?;
            let mapping = Mapping {
                subject: csi.clone(),
                id: MappingId([*id; 16]),
                seq,
                not_before: claims.issued_at,
                expires: claims.expires,
                assignment: ASSIGNMENT,
                replaces: Replaces::SameId,
                policy: Policy::OPEN,
                entries: vec![Entry::new(msp, Vec::new(), 0, Preference::Ordinary)?],
            };
            Ok(mapping.sign(key)?)
        };
        let mappings: Vec<SignedMapping> = ids.iter().map(sign).collect::<Result<_>>()?;
        let bundle = Bundle::new(credential.clone(), mappings.clone())?;
        let sent = self.note(person, Says::Publishes(mappings));
        Ok((sent, bundle.encode().to_vec()))
    }

    /// Notes a removal, before it is sent.
    ///
    /// # Errors
    /// None that happen.
    pub(crate) fn remove(&self, person: usize, target: RemovalTarget) -> Result<(Sent, Vec<u8>)> {
        let Person {
            csi,
            key,
            credential,
        } = &self.people[person];
        let removal = Removal {
            subject: csi.clone(),
            target,
            seq: self.next_seq(person),
            issued_at: credential.unverified().issued_at,
            assignment: ASSIGNMENT,
        };
        let request = RemovalRequest {
            credential: credential.clone(),
            removal: removal.sign(key)?,
        };
        let sent = self.note(person, Says::Removes(Box::new(request.removal.clone())));
        Ok((sent, request.encode()))
    }

    /// Notes the answer.
    pub(crate) fn answered(&self, sent: &Sent, answer: Answer) {
        self.stated().statements[sent.0].answer = Some(answer);
    }

    /// How much was answered.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for statement in &self.stated().statements {
            match (&statement.answer, &statement.says) {
                (Some(Answer::Accepted(_)), Says::Publishes(_)) => counts.publications += 1,
                (Some(Answer::Accepted(_)), Says::Removes(_)) => counts.removals += 1,
                (Some(Answer::Superseded), _) => counts.replaced += 1,
                (None, _) => {}
            }
        }
        counts
    }

    /// Compares a store with what was stated and answered; gives its rows.
    ///
    /// The log is one chain of what was sent, each statement whole or not at
    /// all; it has all that was acknowledged, under the head that the receipt
    /// names; and done in its order by the conflict rule it gives every row.
    ///
    /// # Errors
    /// What isn't so.
    pub(crate) fn check(&self, view: &dyn View) -> Result<Vec<Row>> {
        let stated = self.stated();
        let mut logged = vec![Vec::new(); stated.statements.len()];
        let mut heads = vec![Head::EMPTY];
        let mut models: Vec<Model> = self.people.iter().map(|_| Model::default()).collect();
        for entry in view.audit(0, usize::MAX)? {
            heads.push(heads[heads.len() - 1].follow(&entry)?);
            if entry.action == Action::Credential {
                let of =
                    |person: &Person| object_digest(person.credential.as_bytes()) == entry.object;
                let person = self.people.iter().position(of);
                models[person.context("a credential of nobody")?].exists = true;
                continue;
            }
            let known = stated.objects.get(&entry.object);
            let (at, part) = *known.context("the log names what was never sent")?;
            let statement = &stated.statements[at];
            let model = &mut models[statement.person];
            model.apply(&statement.says, part, entry.action)?;
            logged[at].push((part, entry.index));
        }
        ensure!(heads.last() == Some(&view.audit_head()?), "the log's end");
        for (statement, logged) in stated.statements.iter().zip(&logged) {
            statement.check(logged, &heads)?;
        }
        ensure!(
            view.count()? == models.iter().filter(|model| model.exists).count() as u64,
            "there are rows of nobody"
        );
        let rows = self.people.iter().zip(&models).map(|(person, model)| {
            let row = view.find(&person.csi)?;
            ensure!(row.is_some() == model.exists, "a row is missing");
            let Some(row) = row else {
                return Ok(Row::default());
            };
            let bundle = row.content.map(|content| content.bundle.to_vec());
            let expected = model.bundle(person)?;
            ensure!(bundle == expected, "a row isn't what the log makes it");
            let Version { assignment, seq } = row.marks.statements;
            ensure!(seq == model.floor, "a mark isn't what the log makes it");
            ensure!(assignment == if seq == 0 { 0 } else { ASSIGNMENT });
            Ok(Row { bundle, floor: seq })
        });
        rows.collect()
    }

    fn next_seq(&self, person: usize) -> u64 {
        let mut stated = self.stated();
        let seq = stated.last_seq.entry(person).or_default();
        *seq += 1;
        *seq
    }

    fn note(&self, person: usize, says: Says) -> Sent {
        let mut stated = self.stated();
        let at = stated.statements.len();
        for (part, object) in says.objects().into_iter().enumerate() {
            stated.objects.insert(object_digest(object), (at, part));
        }
        stated.statements.push(Statement {
            person,
            says,
            answer: None,
        });
        Sent(at)
    }

    fn stated(&self) -> MutexGuard<'_, Stated> {
        self.stated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Says {
    fn objects(&self) -> Vec<&[u8]> {
        match self {
            Self::Publishes(mappings) => mappings.iter().map(SignedMapping::as_bytes).collect(),
            Self::Removes(removal) => vec![removal.as_bytes()],
        }
    }
}

impl Statement {
    /// `logged`: parts and places of the entries that name it.
    fn check(&self, logged: &[(usize, u64)], heads: &[Head]) -> Result<()> {
        let mut parts: Vec<usize> = logged.iter().map(|(part, _)| *part).collect();
        parts.sort_unstable();
        let whole: Vec<usize> = (0..self.says.objects().len()).collect();
        ensure!(parts.is_empty() || parts == whole, "half-written");
        match &self.answer {
            Some(Answer::Accepted(receipt)) => {
                let head = heads.get(usize::try_from(receipt.audit_entries)?);
                let head = head.context("acknowledged, and the log was cut")?;
                ensure!(head.hash.to_string() == receipt.audit_hash, "another log");
                ensure!(receipt.changed != parts.is_empty(), "acknowledged and lost");
                let within = |(_, index): &(usize, u64)| *index < receipt.audit_entries;
                ensure!(logged.iter().all(within), "logged after the receipt");
            }
            Some(Answer::Superseded) => ensure!(parts.is_empty(), "refused and written"),
            None => {}
        }
        Ok(())
    }
}

/// A recipient's row by the entries of the log.
#[derive(Default)]
struct Model {
    exists: bool,
    mappings: BTreeMap<[u8; 16], SignedMapping>,
    floor: u64,
}

impl Model {
    /// The conflict rule, which the server must have kept.
    fn apply(&mut self, says: &Says, part: usize, action: Action) -> Result<()> {
        self.exists = true;
        match (says, action) {
            (Says::Publishes(mappings), Action::Mapping) => {
                let mapping = &mappings[part];
                let Mapping { id, seq, .. } = mapping.unverified();
                let before = self.mappings.insert(id.0, mapping.clone());
                let before = before.map_or(0, |before| before.unverified().seq);
                ensure!(*seq > before.max(self.floor), "an older mapping won");
            }
            (Says::Removes(removal), Action::Removal) => {
                let removal = removal.unverified();
                self.mappings
                    .retain(|_, mapping| !removal.removes(mapping.unverified()));
                self.floor = self.floor.max(removal.seq);
            }
            _ => bail!("an entry is of another kind than its object"),
        }
        Ok(())
    }

    fn bundle(&self, person: &Person) -> Result<Option<Vec<u8>>> {
        if self.mappings.is_empty() {
            return Ok(None);
        }
        let mappings = self.mappings.values().cloned().collect();
        let bundle = Bundle::new(person.credential.clone(), mappings)?;
        Ok(Some(bundle.encode().to_vec()))
    }
}
