//! Splits a response for a watcher that asked for it.

use prost::Message;

use crate::wire::etcdserverpb as pb;

/// The bytes a repeated field adds to its elements: a tag and a length of up to five bytes.
const EVENT_OVERHEAD_BYTES: usize = 6;

/// Cuts `response` into pieces below `bytes_max`, at least one event each; all but the last say
/// that more follows. In order, so that joining their events gives the response back.
pub(super) fn split(mut response: pb::WatchResponse, bytes_max: usize) -> Vec<pb::WatchResponse> {
    if response.events.len() < 2 || response.encoded_len() < bytes_max {
        return vec![response];
    }
    let events = std::mem::take(&mut response.events);
    let head = pb::WatchResponse { fragment: true, ..response };
    let head_bytes = head.encoded_len();
    let mut pieces = Vec::new();
    let mut piece = head.clone();
    let mut piece_bytes = head_bytes;
    for event in events {
        let event_bytes = event.encoded_len() + EVENT_OVERHEAD_BYTES;
        if !piece.events.is_empty() && piece_bytes + event_bytes >= bytes_max {
            pieces.push(std::mem::replace(&mut piece, head.clone()));
            piece_bytes = head_bytes;
        }
        piece_bytes += event_bytes;
        piece.events.push(event);
    }
    piece.fragment = false;
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use decube_engine::{LeaseId, Record, Revision, Version};

    use super::*;
    use crate::wire::{KeyValue, mvccpb};

    fn event(value_bytes: usize) -> mvccpb::Event {
        let record = Record::put(&Version {
            key: b"key",
            value: &vec![b'v'; value_bytes],
            create_revision: Revision(2),
            mod_revision: Revision(2),
            sub_revision: 0,
            version: 1,
            lease: LeaseId::NONE,
        });
        mvccpb::Event { kv: Some(KeyValue::whole(record)), ..Default::default() }
    }

    fn check(value_bytes: &[usize], bytes_max: usize, events_expected: &[usize]) {
        let events: Vec<_> = value_bytes.iter().map(|&bytes| event(bytes)).collect();
        let response =
            pb::WatchResponse { watch_id: 7, events: events.clone(), ..Default::default() };
        let pieces = split(response, bytes_max);
        let counts: Vec<_> = pieces.iter().map(|piece| piece.events.len()).collect();
        assert_eq!(counts, events_expected);
        let (last, before) = pieces.split_last().expect("never empty");
        assert!(!last.fragment && before.iter().all(|piece| piece.fragment));
        assert!(pieces.iter().all(|piece| piece.watch_id == 7));
        assert!(
            pieces.iter().all(|piece| piece.events.len() == 1 || piece.encoded_len() < bytes_max)
        );
        assert_eq!(pieces.into_iter().flat_map(|piece| piece.events).collect::<Vec<_>>(), events);
    }

    #[test]
    fn only_what_is_too_large_is_split_and_nothing_is_lost() {
        check(&[10, 10], 1000, &[2]);
        check(&[400, 400, 400], 1000, &[2, 1]);
        check(&[2000, 10, 10], 1000, &[1, 2]);
        check(&[5000], 1000, &[1]);
    }
}
