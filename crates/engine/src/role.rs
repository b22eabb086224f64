//! Who may write: what a member durably knows about itself and about the terms of its cluster.
//!
//! One member of a cluster is the primary. Making another one the primary begins a term, and whoever
//! hears of a higher term than its own stops writing, durably, before it answers. So of two members
//! that both think they are the primary, the one of the older term stops as soon as they meet.

/// What a member is to its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It has no peers; nothing is replicated.
    #[default]
    Standalone,
    /// It takes writes, and its log is copied.
    Primary,
    /// Its log is a copy; it takes no writes, and ends no leases.
    Standby,
}

/// How a term began: a standby became the primary, or a store was made out of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermStart {
    /// Above all before.
    pub term: u64,
    /// That member.
    pub raised_by: u64,
    /// The last frame it had, or had the effect of, of the term before. What somebody else had after
    /// it is lost.
    pub after_sequence: u64,
}

/// A member's role, and the terms it knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub role: Role,
    /// The oldest first; empty in the first term, which nobody raised. Of very many only the newest
    /// are known, and of those before a store was made out of an image none.
    pub terms: Vec<TermStart>,
}

/// Terms that are remembered; each takes a promotion by an operator.
pub(crate) const TERMS_MAX: usize = 64;

impl Standing {
    /// The current term, from 1.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.terms.last().map_or(1, |start| start.term)
    }

    /// The member that raised the current term; 0 in the first.
    #[must_use]
    pub fn raised_by(&self) -> u64 {
        self.terms.last().map_or(0, |start| start.raised_by)
    }

    /// The last frame of `term` that is part of what came after it; `None` while it lasts, or if it
    /// is no longer known.
    #[must_use]
    pub fn end_of(&self, term: u64) -> Option<u64> {
        let next = self.terms.iter().position(|start| start.term > term)?;
        // What comes before the oldest one that is listed began with the second term, if any.
        let known = |start: &&TermStart| next > 0 || start.term == 2 || start.term == term + 1;
        self.terms.get(next).filter(known).map(|start| start.after_sequence)
    }

    /// What this member is after it became the primary by itself.
    #[must_use]
    pub fn promoted(&self, member_id: u64, log_term: u64, after_sequence: u64) -> Self {
        let term = self.term().max(log_term) + 1;
        let mut terms = self.terms.clone();
        terms.push(TermStart { term, raised_by: member_id, after_sequence });
        let forgotten = terms.len().saturating_sub(TERMS_MAX);
        terms.drain(..forgotten);
        Self { role: Role::Primary, terms }
    }

    /// What this member is after it heard of these terms; `None` if they tell nothing new.
    pub(crate) fn met(&self, terms: &[TermStart]) -> Option<Self> {
        let heard = terms.last().map_or(1, |start| start.term);
        (heard > self.term()).then(|| Self {
            role: if self.role == Role::Standalone { self.role } else { Role::Standby },
            terms: terms.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(terms: &[(u64, u64, u64)]) -> Standing {
        let start =
            |&(term, raised_by, after_sequence)| TermStart { term, raised_by, after_sequence };
        Standing { role: Role::Primary, terms: terms.iter().map(start).collect() }
    }

    #[test]
    fn a_term_ends_where_the_next_known_one_began() {
        let standing = standing(&[(2, 7, 100), (4, 8, 2_000)]);
        assert_eq!(standing.end_of(1), Some(100));
        assert_eq!(standing.end_of(2), Some(2_000));
        assert_eq!(standing.end_of(3), Some(2_000));
        assert_eq!(standing.end_of(4), None);
        assert_eq!((standing.term(), standing.raised_by()), (4, 8));
    }

    #[test]
    fn a_promotion_begins_a_term_above_all_that_is_known() {
        let fresh = Standing::default();
        assert_eq!((fresh.term(), fresh.raised_by()), (1, 0));
        let promoted = fresh.promoted(7, 1, 50);
        assert_eq!(promoted, standing(&[(2, 7, 50)]));
        assert_eq!(promoted.promoted(8, 5, 60).term(), 6);
        let mut many = promoted;
        for _ in 0..TERMS_MAX {
            many = many.promoted(7, 1, 60);
        }
        assert_eq!(many.terms.len(), TERMS_MAX);
        assert_eq!(many.end_of(1), None, "it was forgotten");
    }

    #[test]
    fn only_a_higher_term_makes_a_primary_a_standby() {
        let ours = standing(&[(2, 7, 100)]);
        assert_eq!(ours.met(&[]), None);
        assert_eq!(ours.met(&standing(&[(2, 9, 90)]).terms), None);
        let higher = standing(&[(2, 7, 100), (3, 9, 200)]).terms;
        assert_eq!(ours.met(&higher), Some(Standing { role: Role::Standby, terms: higher }));
    }
}
