//! Evaluating a transaction's conditions.

use std::cmp::Ordering;

use super::plan::View;
use crate::record::Record;
use crate::state::Span;
use crate::types::{Compare, CompareOperator, CompareTarget};

/// Whether a condition holds: for every key of its range, or for an absent one if there is none.
pub(crate) fn holds(view: &View<'_>, compare: &Compare) -> bool {
    match Span::of(&compare.range) {
        Span::Key(key) => holds_for(compare, view.get(key)),
        Span::Interval(from, end) => {
            let mut any = false;
            let entries = view.state.index.range(from, end);
            let all = entries.filter_map(|entry| entry.at(view.revision)).all(|record| {
                any = true;
                holds_for(compare, Some(record))
            });
            if any { all } else { holds_for(compare, None) }
        }
    }
}

/// An absent key compares as zeros, except that nothing compares with its value.
fn holds_for(compare: &Compare, record: Option<&Record>) -> bool {
    let number = |of: fn(&Record) -> i64| record.map_or(0, of);
    let order = match &compare.target {
        CompareTarget::Version(wanted) => number(Record::version).cmp(wanted),
        CompareTarget::CreateRevision(wanted) => number(|r| r.create_revision().0).cmp(wanted),
        CompareTarget::ModRevision(wanted) => number(|r| r.mod_revision().0).cmp(wanted),
        CompareTarget::Lease(wanted) => number(|r| r.lease().0).cmp(wanted),
        CompareTarget::Value(wanted) => match record {
            Some(record) => record.value().cmp(wanted),
            None => return false,
        },
    };
    match compare.operator {
        CompareOperator::Equal => order == Ordering::Equal,
        CompareOperator::NotEqual => order != Ordering::Equal,
        CompareOperator::Greater => order == Ordering::Greater,
        CompareOperator::Less => order == Ordering::Less,
        CompareOperator::Unknown => true,
    }
}
