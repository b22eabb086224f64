//! Responses: the engine's results into etcd's messages. Records are moved, never copied.

use decube_engine::{
    DeleteRangeResult, Event, OperationResult, PutResult, RangeResult, Record, Revision, TxnResult,
};

use crate::wire::etcdserverpb as pb;
use crate::wire::{KeyValue, mvccpb};

/// How the keys of one read are answered.
#[derive(Clone, Copy)]
pub(crate) enum Keys {
    Whole,
    Metadata { with_lease: bool },
}

impl Keys {
    pub(crate) fn of(request: &pb::RangeRequest) -> Self {
        if !request.keys_only {
            return Self::Whole;
        }
        // etcd leaves the lease out with the value, unless it read the value to sort by it.
        let by_value = pb::range_request::SortTarget::Value as i32;
        Self::Metadata { with_lease: request.sort_target == by_value }
    }

    pub(crate) fn key_value(self, record: Record) -> KeyValue {
        match self {
            Self::Whole => KeyValue::whole(record),
            Self::Metadata { with_lease } => KeyValue::metadata(record, with_lease),
        }
    }
}

/// How a transaction's results are answered: its reads as their requests want the keys. Kept only
/// when some read wants less than everything.
#[derive(Clone)]
pub(crate) struct Reply(Option<pb::TxnRequest>);

impl Reply {
    pub(crate) fn of(request: &pb::TxnRequest) -> Self {
        Self(wants_keys_only(request).then(|| request.clone()))
    }

    /// The response; `header` is the outermost one's.
    pub(crate) fn txn(
        &self,
        header: Option<pb::ResponseHeader>,
        result: TxnResult,
    ) -> pb::TxnResponse {
        txn_reply(header, result, self.0.as_ref())
    }
}

fn wants_keys_only(request: &pb::TxnRequest) -> bool {
    use pb::request_op::Request;
    request.success.iter().chain(&request.failure).any(|operation| match &operation.request {
        Some(Request::RequestRange(range)) => range.keys_only,
        Some(Request::RequestTxn(txn)) => wants_keys_only(txn),
        _ => false,
    })
}

fn txn_reply(
    header: Option<pb::ResponseHeader>,
    result: TxnResult,
    request: Option<&pb::TxnRequest>,
) -> pb::TxnResponse {
    let operations =
        request.map(|request| if result.succeeded { &request.success } else { &request.failure });
    let responses = result.results.into_iter().enumerate().map(|(index, result)| {
        let operation = operations.and_then(|operations| operations.get(index));
        operation_reply(result, operation.and_then(|operation| operation.request.as_ref()))
    });
    pb::TxnResponse { header, succeeded: result.succeeded, responses: responses.collect() }
}

fn operation_reply(
    result: OperationResult,
    request: Option<&pb::request_op::Request>,
) -> pb::ResponseOp {
    use pb::request_op::Request;
    use pb::response_op::Response;
    let response = match result {
        OperationResult::Range(result) => {
            let keys = match request {
                Some(Request::RequestRange(range)) => Keys::of(range),
                _ => Keys::Whole,
            };
            Response::ResponseRange(range_reply(inner_header(result.revision), result, keys))
        }
        OperationResult::Put(result) => {
            Response::ResponsePut(put_reply(inner_header(result.revision), result))
        }
        OperationResult::DeleteRange(result) => {
            Response::ResponseDeleteRange(delete_range_reply(inner_header(result.revision), result))
        }
        OperationResult::Txn(result) => {
            let request = match request {
                Some(Request::RequestTxn(request)) => Some(request),
                _ => None,
            };
            Response::ResponseTxn(txn_reply(inner_header(result.revision), result, request))
        }
    };
    pb::ResponseOp { response: Some(response) }
}

/// Inside a transaction only the revision is told.
#[expect(clippy::unnecessary_wraps, reason = "the field of every response is an option")]
fn inner_header(revision: Revision) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader { revision: revision.0, ..Default::default() })
}

/// The answer to a read.
pub(crate) fn range_reply(
    header: Option<pb::ResponseHeader>,
    result: RangeResult,
    keys: Keys,
) -> pb::RangeResponse {
    pb::RangeResponse {
        header,
        kvs: result.records.into_iter().map(|record| keys.key_value(record)).collect(),
        more: result.more,
        count: result.count,
    }
}

/// The answer to a put.
pub(crate) fn put_reply(header: Option<pb::ResponseHeader>, result: PutResult) -> pb::PutResponse {
    pb::PutResponse { header, prev_kv: result.previous.map(KeyValue::whole) }
}

/// The answer to a delete.
pub(crate) fn delete_range_reply(
    header: Option<pb::ResponseHeader>,
    result: DeleteRangeResult,
) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header,
        deleted: result.deleted,
        prev_kvs: result.previous.into_iter().map(KeyValue::whole).collect(),
    }
}

/// One change.
pub(crate) fn event(event: Event) -> mvccpb::Event {
    let prev_kv = event.previous.map(KeyValue::whole);
    if event.record.is_tombstone() {
        let kv = Some(KeyValue::deleted(event.record));
        mvccpb::Event { r#type: mvccpb::event::EventType::Delete as i32, kv, prev_kv }
    } else {
        let kv = Some(KeyValue::whole(event.record));
        mvccpb::Event { r#type: mvccpb::event::EventType::Put as i32, kv, prev_kv }
    }
}
