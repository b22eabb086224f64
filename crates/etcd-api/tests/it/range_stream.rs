//! `RangeStream`: chunks that together are the answer of Range.

use decube_etcd_api::wire::etcdserverpb::range_request::{SortOrder, SortTarget};
use decube_etcd_api::wire::etcdserverpb::{CompactionRequest, RangeRequest, RangeResponse};
use tonic::{Code, Status};

use crate::served::{Served, check_refused, owned, revision, serve, serve_with, within};

fn all_keys() -> RangeRequest {
    RangeRequest { key: owned("\0"), range_end: owned("\0"), ..RangeRequest::default() }
}

async fn fill(served: &Served, keys: usize, value_bytes: usize) {
    for key in 0..keys {
        served.put(&format!("{key:04}"), &"v".repeat(value_bytes)).await;
    }
}

async fn chunks(served: &Served, request: RangeRequest) -> Result<Vec<RangeResponse>, Status> {
    let mut stream = served.kv().range_stream(request).await?.into_inner();
    let mut chunks = Vec::new();
    while let Some(message) = within("a chunk", stream.message()).await? {
        chunks.push(message.range_response.expect("a chunk is a range response"));
    }
    Ok(chunks)
}

/// What the chunks are together; all but the last must carry keys alone.
fn merged(chunks: Vec<RangeResponse>) -> RangeResponse {
    let last = chunks.last().expect("at least one chunk").clone();
    let mut kvs = Vec::new();
    let before = chunks.len() - 1;
    for (place, chunk) in chunks.into_iter().enumerate() {
        if place < before {
            assert_eq!((chunk.header, chunk.more, chunk.count), (None, false, 0), "chunk {place}");
            assert!(!chunk.kvs.is_empty(), "chunk {place}");
        }
        kvs.extend(chunk.kvs);
    }
    RangeResponse { kvs, ..last }
}

async fn check_same_as_range(served: &Served, request: RangeRequest) {
    let told = format!("{request:?}");
    let whole = served.kv().range(request.clone()).await.expect("a read").into_inner();
    let chunks = chunks(served, request).await.expect("a stream of chunks");
    assert_eq!(merged(chunks), whole, "{told}");
}

#[tokio::test]
async fn the_chunks_together_are_the_answer_of_range() {
    let served = serve();
    fill(&served, 300, 10).await;
    for limit in [0, 1, 10, 11, 150, 300, 301, -1] {
        check_same_as_range(&served, RangeRequest { limit, ..all_keys() }).await;
        let past = RangeRequest { limit, revision: 99, keys_only: true, ..all_keys() };
        check_same_as_range(&served, past).await;
    }
    check_same_as_range(&served, RangeRequest { count_only: true, limit: 3, ..all_keys() }).await;
    check_same_as_range(&served, RangeRequest { key: owned("0007"), ..Default::default() }).await;
    check_same_as_range(&served, RangeRequest { key: owned("none"), ..Default::default() }).await;
    let ascending = RangeRequest { sort_order: SortOrder::Ascend as i32, ..all_keys() };
    check_same_as_range(&served, ascending).await;
    for sort_target in [SortTarget::Value, SortTarget::Mod] {
        let unordered = RangeRequest { sort_target: sort_target as i32, limit: 20, ..all_keys() };
        check_same_as_range(&served, unordered).await;
    }
}

#[tokio::test]
async fn chunks_grow_from_ten_keys_towards_the_size_of_a_request() {
    let served = serve_with(|options| options.request_bytes_max = 8_000);
    fill(&served, 500, 80).await;
    let chunks = chunks(&served, all_keys()).await.expect("a stream of chunks");
    let sizes: Vec<_> = chunks.iter().map(|chunk| chunk.kvs.len()).collect();
    assert_eq!(sizes, [10, 20, 40, 80, 80, 80, 80, 80, 30]);
}

#[tokio::test]
async fn chunks_of_long_values_shrink() {
    let served = serve_with(|options| options.request_bytes_max = 8_000);
    fill(&served, 30, 0).await;
    for key in 30..70 {
        served.put(&format!("{key:04}"), &"v".repeat(4_000)).await;
    }
    let chunks = chunks(&served, all_keys()).await.expect("a stream of chunks");
    let sizes: Vec<_> = chunks.iter().map(|chunk| chunk.kvs.len()).collect();
    // The third ends for its bytes, with 17 of its 40 keys.
    assert_eq!(sizes, [10, 20, 16, 16, 8]);
}

#[tokio::test]
async fn what_is_written_meanwhile_is_not_in_the_stream() {
    let served = serve_with(|options| options.request_bytes_max = 64 << 10);
    fill(&served, 400, 10_000).await;
    let mut stream = served.kv().range_stream(all_keys()).await.expect("a stream").into_inner();
    let mut chunks = vec![stream.message().await.expect("a chunk").expect("a chunk")];
    served.put("0399", "changed").await;
    served.put("1000", "new").await;
    while let Some(chunk) = within("a chunk", stream.message()).await.expect("a chunk") {
        chunks.push(chunk);
    }
    let whole = merged(chunks.into_iter().filter_map(|chunk| chunk.range_response).collect());
    assert_eq!(revision(whole.header.as_ref()), 401, "the latest when it began");
    assert_eq!((whole.kvs.len(), whole.count), (400, 400));
    assert!(whole.kvs.iter().all(|kv| kv.value().len() == 10_000));
}

#[tokio::test]
async fn a_compaction_meanwhile_ends_the_stream_in_etcds_words() {
    let served = serve_with(|options| options.request_bytes_max = 64 << 10);
    fill(&served, 400, 10_000).await;
    // What is on its way of one call is bounded: most of it is yet to be read.
    let mut stream = served.kv().range_stream(all_keys()).await.expect("a stream").into_inner();
    stream.message().await.expect("a chunk").expect("a chunk");
    served.put("0399", "changed").await;
    let compact = CompactionRequest { revision: 402, physical: true };
    served.kv().compact(compact).await.expect("a compaction");
    let end = loop {
        match within("the end", stream.message()).await {
            Ok(chunk) => assert!(chunk.is_some(), "it does not end as if it were whole"),
            Err(status) => break status,
        }
    };
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert_eq!((end.code(), end.message()), (Code::OutOfRange, text));
}

#[tokio::test]
async fn what_cannot_be_streamed_is_refused_in_etcds_words() {
    let served = serve();
    fill(&served, 3, 10).await;
    let mut kv = served.kv();
    let mut check = async |request, code, text| {
        check_refused(kv.range_stream(request).await, code, text);
    };
    let text = "etcdserver: key is not provided";
    check(RangeRequest { sort_order: 2, ..Default::default() }, Code::InvalidArgument, text).await;
    let text = "etcdserver: invalid sort option";
    check(RangeRequest { sort_order: 9, ..all_keys() }, Code::InvalidArgument, text).await;
    let text = "RangeStream does not support custom sort orders";
    let descending = RangeRequest { sort_order: 2, max_mod_revision: 1, ..all_keys() };
    check(descending, Code::Unimplemented, text).await;
    let by_value = RangeRequest { sort_order: 1, sort_target: 4, ..all_keys() };
    check(by_value, Code::Unimplemented, text).await;
    let text = "RangeStream does not support revision filters";
    let filtered = RangeRequest { min_create_revision: 1, ..all_keys() };
    check(filtered, Code::Unimplemented, text).await;
    let text = "etcdserver: mvcc: required revision is a future revision";
    check(RangeRequest { revision: 9, ..all_keys() }, Code::OutOfRange, text).await;
}
