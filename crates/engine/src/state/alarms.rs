//! What is wrong with members of the cluster, as they or an operator said.

use std::collections::BTreeSet;

use crate::types::{Alarm, AlarmKind};

/// The alarms that are raised.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// In the writer's view.
    raised: BTreeSet<Alarm>,
    /// As readers may see it.
    published: BTreeSet<Alarm>,
}

impl Alarms {
    pub(crate) fn is_raised(&self, alarm: Alarm) -> bool {
        self.raised.contains(&alarm)
    }

    /// Whether some member ran out of room: then none takes what needs more.
    pub(crate) fn no_space(&self) -> bool {
        self.raised.iter().any(|alarm| alarm.kind == AlarmKind::NoSpace)
    }

    pub(crate) fn set(&mut self, alarm: Alarm, raised: bool) {
        if raised {
            self.raised.insert(alarm);
        } else {
            self.raised.remove(&alarm);
        }
    }

    pub(crate) fn publish(&mut self) {
        if self.published != self.raised {
            self.published.clone_from(&self.raised);
        }
    }

    /// In order.
    pub(crate) fn published(&self) -> impl Iterator<Item = Alarm> {
        self.published.iter().copied()
    }
}
