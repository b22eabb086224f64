//! The store as simply as it can be told: for each key the list of everything that happened to it.
//! Answers are text, so that they can be compared with the engine's and read in a failure.

use std::collections::BTreeMap;
use std::fmt::Write;

use decube_engine::{
    Command, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, KeyRange, Operation,
    PutRequest, RangeRequest, SortOrder, SortTarget, TxnRequest,
};

/// What happened to a key; without a value it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) key: Vec<u8>,
    pub(crate) at: i64,
    pub(crate) sub: usize,
    pub(crate) create: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) ttl_s: i64,
    pub(crate) deadline_s: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) now_s: i64,
    pub(crate) happened: Vec<Happened>,
    pub(crate) leases: BTreeMap<i64, Lease>,
}

type Refused = &'static str;

impl Reference {
    pub(crate) fn new() -> Self {
        Self { revision: 1, compacted: -1, now_s: 0, happened: Vec::new(), leases: BTreeMap::new() }
    }

    pub(crate) fn command(&mut self, command: &Command) -> String {
        let result = match command {
            Command::Put(put) => self.put_alone(put),
            Command::DeleteRange(delete) => {
                let mut write = self.begin();
                let answer = self.delete(&mut write, delete);
                self.end(&write);
                Ok(answer)
            }
            Command::Txn(txn) => self.txn_alone(txn),
            Command::Compact(revision) => self.compact(revision.0),
            Command::LeaseGrant { id, ttl_s } => self.grant(id.0, *ttl_s),
            Command::LeaseRevoke { id } => self.revoke(id.0),
            Command::LeaseKeepAlive { id } => Ok(self.keep_alive(id.0)),
            Command::Alarm { .. } => unreachable!("the model has no alarms"),
        };
        result.unwrap_or_else(|refused| format!("refused {refused}"))
    }

    /// Time passes; leases run out in the order of their ends.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now_s += seconds;
        while let Some(id) = self.next_expired() {
            self.revoke(id).expect("a lease that is there");
        }
    }

    fn next_expired(&self) -> Option<i64> {
        let over = self.leases.iter().filter(|(_, lease)| lease.deadline_s <= self.now_s);
        over.min_by_key(|(id, lease)| (lease.deadline_s, **id)).map(|(id, _)| *id)
    }

    pub(crate) fn at(&self, key: &[u8], revision: i64) -> Option<&Happened> {
        let last = self.happened.iter().rev().find(|h| h.key == key && h.at <= revision);
        last.filter(|happened| happened.value.is_some())
    }

    pub(crate) fn range(&self, range: &KeyRange, revision: i64) -> Vec<&Happened> {
        let mut keys: Vec<&Vec<u8>> = self.happened.iter().map(|h| &h.key).collect();
        keys.sort();
        keys.dedup();
        let inside = keys.into_iter().filter(|key| contains(range, key));
        inside.filter_map(|key| self.at(key, revision)).collect()
    }

    /// What a compaction leaves: all that happened after it and, of each key that existed then, the
    /// last before; of a key deleted exactly there, the delete.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Happened> {
        self.happened.iter().filter(|happened| {
            let later = |h: &&Happened| h.key == happened.key && h.order() > happened.order();
            let current = !self.happened.iter().filter(later).any(|h| h.at <= self.compacted);
            let gone = happened.value.is_none() && happened.at < self.compacted;
            happened.at > self.compacted || (current && !gone)
        })
    }

    pub(crate) fn read(&self, request: &RangeRequest) -> String {
        let wanted = request.revision.0;
        if wanted > self.revision {
            return "refused FutureRevision".into();
        }
        if wanted > 0 && wanted < self.compacted {
            return "refused Compacted".into();
        }
        self.read_at(request, self.revision)
    }

    fn read_at(&self, request: &RangeRequest, current: i64) -> String {
        let revision = if request.revision.0 <= 0 { current } else { request.revision.0 };
        let mut found = self.range(&request.range, revision);
        let count = found.len();
        let bounded = |number: i64, min: i64, max: i64| {
            (min == 0 || number >= min) && (max == 0 || number <= max)
        };
        let cut_first = request.sort_target != SortTarget::Key
            && request.sort_order == SortOrder::None
            && [
                request.min_mod_revision,
                request.max_mod_revision,
                request.min_create_revision,
                request.max_create_revision,
            ] == [0; 4];
        let limit = usize::try_from(request.limit).unwrap_or(0);
        if cut_first && limit > 0 {
            found.truncate(limit + 1);
        }
        found.retain(|h| bounded(h.at, request.min_mod_revision, request.max_mod_revision));
        found.retain(|h| {
            bounded(h.create, request.min_create_revision, request.max_create_revision)
        });
        let number = |h: &&Happened| match request.sort_target {
            SortTarget::Version => h.version,
            SortTarget::CreateRevision => h.create,
            SortTarget::ModRevision => h.at,
            SortTarget::Key | SortTarget::Value => 0,
        };
        let order = |a: &&Happened, b: &&Happened| match request.sort_target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Value => a.value.cmp(&b.value),
            _ => number(a).cmp(&number(b)),
        };
        match request.sort_order {
            SortOrder::Descend => found.sort_by(|a, b| order(b, a)),
            _ => found.sort_by(order),
        }
        let more = limit > 0 && found.len() > limit && !request.count_only;
        if limit > 0 {
            found.truncate(limit);
        }
        if request.count_only {
            found.clear();
        }
        let records: Vec<String> = found.into_iter().map(Happened::text).collect();
        format!("range @{current} count {count} more {more} {records:?}")
    }

    fn begin(&self) -> Writing {
        Writing { revision: self.revision + 1, subs: 0 }
    }

    fn end(&mut self, writing: &Writing) {
        if writing.subs > 0 {
            self.revision = writing.revision;
        }
    }

    fn put_alone(&mut self, put: &PutRequest) -> Result<String, Refused> {
        check_put_form(put)?;
        self.check_put(put)?;
        let mut writing = self.begin();
        let answer = self.put(&mut writing, put);
        self.end(&writing);
        Ok(answer)
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), Refused> {
        if put.lease.0 != 0 && !self.leases.contains_key(&put.lease.0) {
            return Err("LeaseNotFound");
        }
        let keeps = put.ignore_value || put.ignore_lease;
        if keeps && self.at(&put.key, self.revision).is_none() {
            return Err("KeyNotFound");
        }
        Ok(())
    }

    fn put(&mut self, writing: &mut Writing, put: &PutRequest) -> String {
        let before = self.at(&put.key, writing.revision).cloned();
        let kept = before.as_ref();
        let value = match kept {
            Some(kept) if put.ignore_value => kept.value.clone().unwrap_or_default(),
            _ => put.value.to_vec(),
        };
        self.happened.push(Happened {
            key: put.key.to_vec(),
            at: writing.revision,
            sub: writing.subs,
            create: kept.map_or(writing.revision, |kept| kept.create),
            version: kept.map_or(1, |kept| kept.version + 1),
            lease: kept.filter(|_| put.ignore_lease).map_or(put.lease.0, |kept| kept.lease),
            value: Some(value),
        });
        writing.subs += 1;
        let before = before.filter(|_| put.prev_kv).map(|before| before.text());
        format!("put @{} was {before:?}", writing.revision)
    }

    fn delete(&mut self, writing: &mut Writing, delete: &DeleteRangeRequest) -> String {
        let now = self.range(&delete.range, writing.revision);
        let gone: Vec<Happened> = now.into_iter().cloned().collect();
        for before in &gone {
            self.happened.push(Happened {
                key: before.key.clone(),
                at: writing.revision,
                sub: writing.subs,
                create: 0,
                version: 0,
                lease: 0,
                value: None,
            });
            writing.subs += 1;
        }
        let current = writing.current();
        let texts: Vec<String> =
            gone.iter().filter(|_| delete.prev_kv).map(Happened::text).collect();
        format!("delete @{current} {} {texts:?}", gone.len())
    }

    fn txn_alone(&mut self, txn: &TxnRequest) -> Result<String, Refused> {
        check_txn_form(txn)?;
        writes_of(&txn.success)?;
        writes_of(&txn.failure)?;
        let before = self.clone();
        let mut deleted = Vec::new();
        before.check_txn(txn, &mut deleted)?;
        let mut writing = self.begin();
        let mut text = self.run(&before, &mut writing, txn);
        self.end(&writing);
        write!(text, " @{}", self.revision).expect("text");
        Ok(text)
    }

    fn check_txn(&self, txn: &TxnRequest, deleted: &mut Vec<KeyRange>) -> Result<(), Refused> {
        for operation in self.branch(txn) {
            match operation {
                Operation::Range(range) => match range.revision.0 {
                    0 => {}
                    wanted if wanted > self.revision => return Err("FutureRevision"),
                    wanted if wanted < self.compacted => return Err("Compacted"),
                    _ => {}
                },
                Operation::Put(put) => {
                    self.check_put(put)?;
                    let keeps = put.ignore_value || put.ignore_lease;
                    if keeps && deleted.iter().any(|range| contains(range, &put.key)) {
                        return Err("KeyNotFound");
                    }
                }
                Operation::DeleteRange(delete) => deleted.push(delete.range.clone()),
                Operation::Txn(inner) => self.check_txn(inner, deleted)?,
                Operation::Empty => unreachable!("refused by its form"),
            }
        }
        Ok(())
    }

    fn run(&mut self, before: &Self, writing: &mut Writing, txn: &TxnRequest) -> String {
        let mut texts = Vec::new();
        for operation in before.branch(txn) {
            texts.push(match operation {
                Operation::Range(range) => self.read_at(range, writing.current()),
                Operation::Put(put) => self.put(writing, put),
                Operation::DeleteRange(delete) => self.delete(writing, delete),
                Operation::Txn(inner) => self.run(before, writing, inner),
                Operation::Empty => unreachable!("refused by its form"),
            });
        }
        format!("txn {} {texts:?}", before.holds_all(&txn.compares))
    }

    fn branch<'t>(&self, txn: &'t TxnRequest) -> &'t [Operation] {
        if self.holds_all(&txn.compares) { &txn.success } else { &txn.failure }
    }

    fn holds_all(&self, compares: &[Compare]) -> bool {
        compares.iter().all(|compare| {
            let found = self.range(&compare.range, self.revision);
            let absent = if found.is_empty() { Some(None) } else { None };
            let each = found.into_iter().map(Some).chain(absent);
            each.into_iter().all(|happened| holds(compare, happened))
        })
    }

    fn compact(&mut self, revision: i64) -> Result<String, Refused> {
        if revision <= self.compacted {
            return Err("Compacted");
        }
        if revision > self.revision {
            return Err("FutureRevision");
        }
        self.compacted = revision;
        Ok(format!("compact @{}", self.revision))
    }

    fn grant(&mut self, id: i64, ttl_s: i64) -> Result<String, Refused> {
        if self.leases.contains_key(&id) {
            return Err("LeaseExists");
        }
        let ttl_s = ttl_s.max(2);
        self.leases.insert(id, Lease { ttl_s, deadline_s: self.now_s + ttl_s });
        Ok(format!("grant {id} {ttl_s} @{}", self.revision))
    }

    fn revoke(&mut self, id: i64) -> Result<String, Refused> {
        self.leases.remove(&id).ok_or("LeaseNotFound")?;
        let mut writing = self.begin();
        for key in self.lease_keys(id) {
            let range = KeyRange { key: key.into(), end: bytes::Bytes::new() };
            self.delete(&mut writing, &DeleteRangeRequest { range, prev_kv: false });
        }
        self.end(&writing);
        Ok(format!("revoke @{}", self.revision))
    }

    fn keep_alive(&mut self, id: i64) -> String {
        let now_s = self.now_s;
        let ttl_s = self.leases.get_mut(&id).map_or(0, |lease| {
            lease.deadline_s = now_s + lease.ttl_s;
            lease.ttl_s
        });
        format!("keep {id} {ttl_s} @{}", self.revision)
    }

    pub(crate) fn lease_keys(&self, id: i64) -> Vec<Vec<u8>> {
        let all = KeyRange { key: "\0".into(), end: "\0".into() };
        let now = self.range(&all, self.revision + 1);
        now.into_iter().filter(|h| h.lease == id).map(|h| h.key.clone()).collect()
    }
}

/// A transaction's writes so far.
struct Writing {
    revision: i64,
    subs: usize,
}

impl Writing {
    fn current(&self) -> i64 {
        if self.subs > 0 { self.revision } else { self.revision - 1 }
    }
}

impl Happened {
    fn order(&self) -> (i64, usize) {
        (self.at, self.sub)
    }

    pub(crate) fn text(&self) -> String {
        let key = String::from_utf8_lossy(&self.key);
        match &self.value {
            Some(value) => format!(
                "{key}={} c{} m{}.{} v{} l{}",
                String::from_utf8_lossy(value),
                self.create,
                self.at,
                self.sub,
                self.version,
                self.lease
            ),
            None => format!("{key} gone m{}.{}", self.at, self.sub),
        }
    }
}

pub(crate) fn contains(range: &KeyRange, key: &[u8]) -> bool {
    match range.end.as_ref() {
        [] => key == range.key,
        [0] => key >= range.key.as_ref(),
        end => key >= range.key.as_ref() && key < end,
    }
}

fn holds(compare: &Compare, found: Option<&Happened>) -> bool {
    let number = |of: fn(&Happened) -> i64| found.map_or(0, of);
    let order = match &compare.target {
        CompareTarget::Version(wanted) => number(|h| h.version).cmp(wanted),
        CompareTarget::CreateRevision(wanted) => number(|h| h.create).cmp(wanted),
        CompareTarget::ModRevision(wanted) => number(|h| h.at).cmp(wanted),
        CompareTarget::Lease(wanted) => number(|h| h.lease).cmp(wanted),
        CompareTarget::Value(wanted) => {
            let Some(value) = found.and_then(|h| h.value.as_deref()) else { return false };
            value.cmp(wanted.as_ref())
        }
    };
    match compare.operator {
        CompareOperator::Equal => order.is_eq(),
        CompareOperator::NotEqual => order.is_ne(),
        CompareOperator::Greater => order.is_gt(),
        CompareOperator::Less => order.is_lt(),
        CompareOperator::Unknown => true,
    }
}

fn check_put_form(put: &PutRequest) -> Result<(), Refused> {
    match put {
        _ if put.ignore_value && !put.value.is_empty() => Err("ValueProvided"),
        _ if put.ignore_lease && put.lease.0 != 0 => Err("LeaseProvided"),
        _ => Ok(()),
    }
}

fn check_txn_form(txn: &TxnRequest) -> Result<(), Refused> {
    for operation in txn.success.iter().chain(&txn.failure) {
        match operation {
            Operation::Put(put) => check_put_form(put)?,
            Operation::Txn(inner) => check_txn_form(inner)?,
            _ => {}
        }
    }
    Ok(())
}

/// Keys put and ranges deleted in one branch, or a refusal of the same key written twice.
type Writes = (Vec<Vec<u8>>, Vec<KeyRange>);

fn writes_of(operations: &[Operation]) -> Result<Writes, Refused> {
    let literally = |range: &KeyRange, key: &[u8]| match range.end.as_ref() {
        [] => key == range.key,
        end => range.key.as_ref() <= key && key < end,
    };
    let mut puts: Vec<Vec<u8>> = Vec::new();
    let mut deletes = Vec::new();
    for operation in operations {
        if let Operation::DeleteRange(delete) = operation {
            deletes.push(delete.range.clone());
        }
    }
    let add = |puts: &mut Vec<Vec<u8>>, deletes: &[KeyRange], key: Vec<u8>| {
        let overlaps = deletes.iter().any(|range| literally(range, &key));
        if overlaps || puts.contains(&key) {
            return Err("DuplicateKey");
        }
        puts.push(key);
        Ok(())
    };
    for operation in operations {
        if let Operation::Txn(inner) = operation {
            let (then_puts, then_deletes) = writes_of(&inner.success)?;
            let (else_puts, else_deletes) = writes_of(&inner.failure)?;
            let only_else = else_puts.iter().filter(|key| !then_puts.contains(key));
            for key in then_puts.iter().chain(only_else) {
                add(&mut puts, &deletes, key.clone())?;
            }
            deletes.extend(then_deletes.into_iter().chain(else_deletes));
        }
    }
    for operation in operations {
        if let Operation::Put(put) = operation {
            add(&mut puts, &deletes, put.key.to_vec())?;
        }
    }
    Ok((puts, deletes))
}
