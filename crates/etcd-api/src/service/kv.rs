//! KV: keys and values.

use decube_engine::{Command, Error, Outcome, Revision, TxnRequest, TxnResult};
use tonic::{Code, Status};

use super::mismatched;
use crate::convert;
use crate::metrics::Asked;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// Reads; linearizable, because the engine shows a revision as soon as it is acknowledged.
pub(crate) fn range(store: &Store, request: pb::RangeRequest) -> Result<pb::RangeResponse, Status> {
    let keys = convert::Keys::of(&request);
    let request = convert::range(request)?;
    let result = store.read(Asked::Range, |engine| engine.range(&request))?;
    Ok(convert::range_reply(store.header(result.revision), result, keys))
}

/// Writes one key.
pub(crate) async fn put(store: &Store, request: pb::PutRequest) -> Result<pb::PutResponse, Status> {
    store.check_size(&request)?;
    match store.execute(Command::Put(convert::put(request))).await? {
        Outcome::Put(result) => Ok(convert::put_reply(store.header(result.revision), result)),
        outcome => Err(mismatched(&outcome)),
    }
}

/// Deletes a range of keys.
pub(crate) async fn delete_range(
    store: &Store,
    request: pb::DeleteRangeRequest,
) -> Result<pb::DeleteRangeResponse, Status> {
    store.check_size(&request)?;
    match store.execute(Command::DeleteRange(convert::delete_range(request))).await? {
        Outcome::DeleteRange(result) => {
            Ok(convert::delete_range_reply(store.header(result.revision), result))
        }
        outcome => Err(mismatched(&outcome)),
    }
}

/// Compares, and runs one of two lists of operations.
pub(crate) async fn txn(store: &Store, request: pb::TxnRequest) -> Result<pb::TxnResponse, Status> {
    let reply = convert::Reply::of(&request);
    let size = store.check_size(&request);
    let convert::Transaction { request, empty_means_bad_sort } = convert::transaction(request);
    let result = if request.is_read_only() {
        store.read(Asked::ReadonlyTxn, |engine| engine.read_txn(&request))
    } else {
        size?;
        write_txn(store, request).await
    };
    match result {
        Ok(result) => Ok(reply.txn(store.header(result.revision), result)),
        Err(refusal) if empty_means_bad_sort && is_key_not_found(&refusal) => {
            Err(status::invalid_sort_option())
        }
        Err(refusal) => Err(refusal),
    }
}

async fn write_txn(store: &Store, request: TxnRequest) -> Result<TxnResult, Status> {
    match store.execute(Command::Txn(request)).await? {
        Outcome::Txn(result) => Ok(result),
        outcome => Err(mismatched(&outcome)),
    }
}

fn is_key_not_found(refusal: &Status) -> bool {
    refusal.code() == Code::InvalidArgument
        && refusal.message() == status::refusal(&Error::KeyNotFound).message()
}

/// Forgets history. A physical one is answered when nothing is left of it.
pub(crate) async fn compact(
    store: &Store,
    request: pb::CompactionRequest,
) -> Result<pb::CompactionResponse, Status> {
    match store.execute(Command::Compact(Revision(request.revision))).await? {
        Outcome::Compact { revision } => {
            if request.physical {
                store.dropped(Revision(request.revision)).await?;
            }
            Ok(pb::CompactionResponse { header: store.header(revision) })
        }
        outcome => Err(mismatched(&outcome)),
    }
}
