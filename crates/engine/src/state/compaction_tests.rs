//! Dropping all at once against dropping change by change.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Put, Retired, State};
use crate::record::Record;
use crate::types::{LeaseId, Revision};

/// Puts and deletes of one revision: of which key, and whether it is a put.
type Write = Vec<(u8, bool)>;

fn write(state: &mut State, write: &Write) {
    let revision = Revision(state.revision.0 + 1);
    for (sub_revision, (key, put)) in (0..).zip(write) {
        let key = &[*key];
        if *put {
            let put = Put { key, value: b"v", lease: LeaseId::NONE, revision, sub_revision };
            let position = state.index.find(key);
            state.put_at(position, &put);
        } else {
            state.apply(Record::tombstone(key, revision, sub_revision));
        }
    }
    state.revision = revision;
    state.publish();
}

/// Of a state, all that is kept.
#[derive(Debug, PartialEq)]
struct Kept {
    versions: Vec<Record>,
    changes: Vec<(Record, Option<Record>)>,
    bytes: usize,
}

fn kept(state: &State) -> Kept {
    let versions = state.index.range(b"", None).flat_map(|history| history.versions().cloned());
    let (changes, _) = state.history.read(Revision(0), state.revision, |_| true);
    Kept {
        versions: versions.collect(),
        changes: changes.into_iter().map(|change| (change.record, change.previous)).collect(),
        bytes: state.size.bytes,
    }
}

proptest! {
    #[test]
    fn all_at_once_leaves_what_change_by_change_leaves(
        writes in vec(vec((0..6_u8, any::<bool>()), 1..4), 1..60),
        compactions in vec(0..60_usize, 1..4),
    ) {
        let (mut at_once, mut in_slices) = (State::new(), State::new());
        for (number, next) in writes.iter().enumerate() {
            write(&mut at_once, next);
            write(&mut in_slices, next);
            if compactions.contains(&number) {
                at_once.compact_revision = at_once.revision;
                in_slices.compact_revision = in_slices.revision;
                let mut progress = Retired::new(in_slices.compact_revision);
                while !in_slices.retire(&mut progress, 2) {}
            }
        }
        at_once.retire_all();
        prop_assert_eq!(kept(&at_once), kept(&in_slices));
    }
}
