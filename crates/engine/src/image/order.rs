//! The order of an image's items: checked, because what reads them relies on it.

use std::cmp::Ordering;

use crate::entry::{ImageHead, ImageItem};
use crate::record::Record;
use crate::types::{Alarm, LeaseId};

/// A store goes on counting from an image's numbers, and must not come to their end.
const NUMBER_MAX: i64 = i64::MAX / 2;

/// Head, alarms, leases, records in key order and of one key the oldest first; nothing above the head.
#[derive(Debug, Default)]
pub(crate) struct ItemOrder {
    head: Option<ImageHead>,
    alarm: Option<Alarm>,
    lease: Option<LeaseId>,
    record: Option<Record>,
}

impl ItemOrder {
    /// Refuses an item that may not come next.
    pub(crate) fn check(&mut self, item: &ImageItem) -> Result<(), String> {
        match (item, self.head) {
            (ImageItem::Head(head), None) => {
                check_head(head)?;
                self.head = Some(*head);
                Ok(())
            }
            (ImageItem::Head(_), Some(_)) => Err("it has a second head".into()),
            (_, None) => Err("it does not begin with its head".into()),
            (ImageItem::Alarm(alarm), Some(_)) => self.check_alarm(*alarm),
            (ImageItem::Lease { id, .. }, Some(_)) => self.check_lease(*id),
            (ImageItem::Record(record), Some(head)) => self.check_record(record, &head),
        }
    }

    /// The head, if it came.
    pub(crate) fn head(&self) -> Option<ImageHead> {
        self.head
    }

    fn check_alarm(&mut self, alarm: Alarm) -> Result<(), String> {
        let first = self.lease.is_none() && self.record.is_none();
        let in_order = first && self.alarm.is_none_or(|before| before < alarm);
        self.alarm = Some(alarm);
        if in_order { Ok(()) } else { Err(format!("{alarm:?} is not in order")) }
    }

    fn check_lease(&mut self, id: LeaseId) -> Result<(), String> {
        let in_order = self.record.is_none() && self.lease.is_none_or(|before| before < id);
        self.lease = Some(id);
        if in_order && id != LeaseId::NONE {
            return Ok(());
        }
        Err(format!("lease {} is not in order", id.0))
    }

    fn check_record(&mut self, record: &Record, head: &ImageHead) -> Result<(), String> {
        let revision = record.mod_revision();
        if revision.0 < 1 || revision > head.revision || record.key().is_empty() {
            return Err(format!("{record:?} cannot be at revision {}", head.revision.0));
        }
        if !record.is_tombstone() && !has_a_past(record) {
            return Err(format!("{record:?} cannot have been written"));
        }
        let in_order = |before: &Record| match before.key().cmp(record.key()) {
            Ordering::Less => true,
            Ordering::Equal => before.order() < record.order(),
            Ordering::Greater => false,
        };
        if !self.record.as_ref().is_none_or(in_order) {
            return Err(format!("{record:?} is not in order"));
        }
        self.record = Some(record.clone());
        Ok(())
    }
}

/// Whether a put was created no later than it was written, and may be written over many times more.
fn has_a_past(record: &Record) -> bool {
    (1..=record.mod_revision().0).contains(&record.create_revision().0)
        && (1..=NUMBER_MAX).contains(&record.version())
}

fn check_head(head: &ImageHead) -> Result<(), String> {
    let ImageHead { sequence, term, revision, compact_revision } = *head;
    let counters = sequence.max(term) <= NUMBER_MAX.cast_unsigned();
    let revisions = (0..=NUMBER_MAX).contains(&revision.0);
    if counters && revisions && (-1..=revision.0).contains(&compact_revision.0) {
        return Ok(());
    }
    Err(format!("{head:?} cannot be of a store"))
}
