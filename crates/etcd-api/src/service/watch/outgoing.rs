//! The messages of a watch stream on their way out: as many as are ready go in one piece.
//!
//! With many watchers of one key on a stream, most of what is sent was sent to the watcher before
//! already: the same events behind another identity. They are encoded once, and copied from where
//! they are in the piece.

use std::ops::Range;

use bytes::{BufMut, Bytes};
use decube_engine::{Events, Revision, WatchId};
use prost::Message;
use prost::encoding;
use tonic::Status;

use crate::convert;
use crate::grpc::{self, PREFIX_BYTES};
use crate::metrics::Call;
use crate::wire::etcdserverpb::{ResponseHeader, WatchResponse};

/// A piece is sent when it is as long.
const PIECE_BYTES: usize = 64 << 10;

/// The least room that is made for one.
const ROOM_BYTES_MIN: usize = 256;

/// Of `WatchResponse`.
const HEADER_TAG: u32 = 1;
const WATCH_ID_TAG: u32 = 2;
const EVENTS_TAG: u32 = 11;

/// What is gathered to be sent in one piece.
#[derive(Default)]
pub(super) struct Outgoing {
    piece: Vec<u8>,
    /// Of the last message with events: where in the piece these are.
    events: Option<(Events, Range<usize>)>,
    /// Of the same message: where the header is.
    header: Option<(Revision, Range<usize>)>,
    last_bytes: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.piece.is_empty()
    }

    /// Whether it is to be sent before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.piece.len() >= PIECE_BYTES
    }

    /// What was gathered.
    pub(super) fn take(&mut self) -> Bytes {
        self.events = None;
        self.header = None;
        self.last_bytes = self.piece.len();
        Bytes::from(std::mem::take(&mut self.piece))
    }

    pub(super) fn add(&mut self, response: &WatchResponse, call: Call<'_>) -> Result<(), Status> {
        let begin = self.begin();
        response.encode_raw(&mut self.piece);
        self.end(begin, call)
    }

    /// Adds a message of nothing but events; the header is that of the revision, and not looked up
    /// again for the next message of the same one.
    pub(super) fn add_events(
        &mut self,
        (id, revision): (WatchId, Revision),
        events: Events,
        header: impl FnOnce() -> Option<ResponseHeader>,
        call: Call<'_>,
    ) -> Result<(), Status> {
        let begin = self.begin();
        self.put_header(revision, header);
        if id.0 != 0 {
            encoding::int64::encode(WATCH_ID_TAG, &id.0, &mut self.piece);
        }
        self.put_events(events);
        self.end(begin, call)
    }

    fn put_header(&mut self, revision: Revision, header: impl FnOnce() -> Option<ResponseHeader>) {
        let begin = self.piece.len();
        match &self.header {
            Some((same, at)) if *same == revision => self.piece.extend_from_within(at.clone()),
            _ => {
                let header = header().unwrap_or_default();
                encoding::message::encode(HEADER_TAG, &header, &mut self.piece);
                self.header = Some((revision, begin..self.piece.len()));
            }
        }
    }

    fn put_events(&mut self, events: Events) {
        match &self.events {
            Some((same, at)) if same.are_shared_with(&events) => {
                self.piece.extend_from_within(at.clone());
            }
            _ => {
                let begin = self.piece.len();
                for event in events.iter() {
                    let event = convert::event(event.clone());
                    encoding::message::encode(EVENTS_TAG, &event, &mut self.piece);
                }
                self.events = Some((events, begin..self.piece.len()));
            }
        }
    }

    /// Leaves room for a message's prefix; returns where it is.
    fn begin(&mut self) -> usize {
        if self.piece.is_empty() {
            self.piece.reserve(self.last_bytes.clamp(ROOM_BYTES_MIN, PIECE_BYTES));
        }
        let begin = self.piece.len();
        self.piece.put_bytes(0, PREFIX_BYTES);
        begin
    }

    /// Fills the prefix in.
    fn end(&mut self, begin: usize, call: Call<'_>) -> Result<(), Status> {
        let prefix = grpc::prefix(self.piece.len() - begin - PREFIX_BYTES, call)?;
        if let Some(place) = self.piece.get_mut(begin..begin + PREFIX_BYTES) {
            place.copy_from_slice(&prefix);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use decube_engine::{Event, LeaseId, Record, Version};

    use super::*;
    use crate::grpc::Method;
    use crate::metrics::{Counters, Passed};

    fn events(key: &str, value_bytes: usize) -> Events {
        let put = Record::put(&Version {
            key: key.as_bytes(),
            value: &vec![b'v'; value_bytes],
            create_revision: Revision(2),
            mod_revision: Revision(3),
            sub_revision: 0,
            version: 2,
            lease: LeaseId::NONE,
        });
        let deleted = Record::tombstone(key.as_bytes(), Revision(4), 0);
        Events::from(vec![
            Event { record: put.clone(), previous: None },
            Event { record: deleted, previous: Some(put) },
        ])
    }

    fn header(revision: i64) -> ResponseHeader {
        ResponseHeader { cluster_id: 7, member_id: 8, revision, raft_term: 9 }
    }

    fn response(id: i64, revision: i64, events: Events) -> WatchResponse {
        WatchResponse {
            header: Some(header(revision)),
            watch_id: id,
            events: events.into_iter().map(convert::event).collect(),
            ..WatchResponse::default()
        }
    }

    /// Adds these to pieces, and compares the pieces with the messages one by one.
    fn check(messages: &[(i64, i64, Events)]) -> Vec<Bytes> {
        let (mut outgoing, counters) = (Outgoing::default(), Counters::default());
        let call = Call { counters: &counters, method: Method::Watch };
        let (mut pieces, mut expected) = (Vec::new(), Vec::new());
        for (id, revision, events) in messages {
            let of = (WatchId(*id), Revision(*revision));
            let added = outgoing.add_events(of, events.clone(), || Some(header(*revision)), call);
            added.expect("short enough");
            let response = response(*id, *revision, events.clone());
            expected.extend(grpc::framed(&response.encode_to_vec().into()));
            if outgoing.is_full() {
                pieces.push(outgoing.take());
            }
        }
        pieces.push(outgoing.take());
        assert_eq!(pieces.concat(), expected);
        let bytes = expected.len() - PREFIX_BYTES * messages.len();
        assert_eq!(counters.sent_bytes.get(), bytes as u64);
        let sent = counters.messages(Method::Watch, Passed::Sent);
        assert_eq!(sent, messages.len() as u64);
        pieces
    }

    #[test]
    fn what_is_copied_from_the_message_before_is_the_same_as_what_is_encoded() {
        let (one, other) = (events("one", 10), events("other", 300));
        check(&[
            (0, 4, one.clone()),
            (1, 4, one.clone()),
            (-7, 4, one.clone()),
            (2, 5, one.clone()),
            (300, 5, other.clone()),
            (3, 5, one.clone()),
            (3, 4, events("one", 10)),
        ]);
        let pieces = check(&(0..1_000).map(|id| (id, 4, other.clone())).collect::<Vec<_>>());
        assert!(pieces.len() > 5, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 1_000));
    }

    #[test]
    fn any_other_message_goes_between() {
        let (mut outgoing, counters) = (Outgoing::default(), Counters::default());
        let call = Call { counters: &counters, method: Method::Watch };
        let created = WatchResponse { created: true, ..response(1, 3, events("key", 1)) };
        outgoing.add(&created, call).expect("short enough");
        assert_eq!(outgoing.take(), grpc::framed(&created.encode_to_vec().into()));
        assert!(outgoing.is_empty());
    }
}
