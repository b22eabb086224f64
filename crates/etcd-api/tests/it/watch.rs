//! Watches.

use std::time::Duration;

use decube_etcd_api::wire::etcdserverpb::watch_create_request::FilterType;
use decube_etcd_api::wire::etcdserverpb::watch_request::RequestUnion;
use decube_etcd_api::wire::etcdserverpb::{
    CompactionRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest,
    WatchResponse,
};
use decube_etcd_api::wire::mvccpb::event::EventType;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

use crate::served::{Served, owned, revision, serve, serve_with, within};

/// A client's end of one watch stream.
struct Watching {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

impl Watching {
    async fn open(served: &Served) -> Self {
        let (requests, incoming) = mpsc::channel(16);
        let responses = served.watch().watch(ReceiverStream::new(incoming)).await;
        Self { requests, responses: responses.expect("a watch stream").into_inner() }
    }

    async fn ask(&self, request: RequestUnion) {
        let request = WatchRequest { request_union: Some(request) };
        self.requests.send(request).await.expect("the stream takes requests");
    }

    /// Asks for a watcher and takes the answer.
    async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(RequestUnion::CreateRequest(request)).await;
        let created = self.next().await;
        assert!(created.created, "{created:?}");
        created
    }

    async fn next(&mut self) -> WatchResponse {
        let next = within("a watch response", self.responses.message()).await;
        next.expect("the stream goes on").expect("the stream is open")
    }

    /// The next events: kind, key, value, revision.
    async fn events(&mut self) -> Vec<(EventType, String, String, i64)> {
        let response = self.next().await;
        assert!(!response.created && !response.canceled, "{response:?}");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let events = response.events.iter().map(|event| {
            let kv = event.kv.as_ref().expect("an event has a key");
            (event.r#type(), text(kv.key()), text(kv.value()), kv.mod_revision())
        });
        events.collect()
    }
}

fn prefix(key: &str, end: &str) -> WatchCreateRequest {
    WatchCreateRequest { key: owned(key), range_end: owned(end), ..Default::default() }
}

fn key(key: &str) -> WatchCreateRequest {
    prefix(key, "")
}

fn put(key: &str, value: &str, revision: i64) -> (EventType, String, String, i64) {
    (EventType::Put, key.into(), value.into(), revision)
}

fn deleted(key: &str, revision: i64) -> (EventType, String, String, i64) {
    (EventType::Delete, key.into(), String::new(), revision)
}

#[tokio::test]
async fn a_watcher_gets_what_happens_after_it_was_created() {
    let served = serve();
    served.put("a", "before").await;
    let mut watching = Watching::open(&served).await;
    let created = watching.create(prefix("a", "b")).await;
    assert_eq!((created.watch_id, revision(created.header.as_ref())), (0, 2));
    served.put("a", "1").await;
    assert_eq!(watching.events().await, [put("a", "1", 3)]);
    served.put("b", "elsewhere").await;
    served.delete("a").await;
    assert_eq!(watching.events().await, [deleted("a", 5)]);
}

#[tokio::test]
async fn a_watcher_gets_history_from_its_start_revision_on() {
    let served = serve();
    for value in ["1", "2", "3"] {
        served.put("a", value).await;
    }
    let mut watching = Watching::open(&served).await;
    let request = WatchCreateRequest { start_revision: 3, prev_kv: true, ..key("a") };
    watching.create(request).await;
    let response = watching.next().await;
    let values: Vec<_> = response
        .events
        .iter()
        .map(|event| {
            let before = event.prev_kv.as_ref().expect("asked for").value().to_vec();
            (event.kv.as_ref().expect("a key").value().to_vec(), before)
        })
        .collect();
    assert_eq!(values, [(b"2".to_vec(), b"1".to_vec()), (b"3".to_vec(), b"2".to_vec())]);
}

#[tokio::test]
async fn ids_are_chosen_or_given_and_given_once() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    let given = WatchCreateRequest { watch_id: 7, ..key("a") };
    assert_eq!(watching.create(given.clone()).await.watch_id, 7);
    assert_eq!(watching.create(key("a")).await.watch_id, 0);
    let again = watching.create(given).await;
    assert_eq!((again.watch_id, again.canceled), (-1, true));
    let text = "mvcc: duplicate watch ID provided on the WatchStream";
    assert_eq!(again.cancel_reason, text);
}

#[tokio::test]
async fn impossible_watchers_are_refused_in_etcds_words() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    let mut check = async |request: WatchCreateRequest, text: &str| {
        let refused = watching.create(request).await;
        assert_eq!((refused.watch_id, refused.canceled, refused.compact_revision), (-1, true, 0));
        assert_eq!((refused.cancel_reason.as_str(), revision(refused.header.as_ref())), (text, 1));
    };
    check(prefix("b", "a"), "mvcc: watcher range is empty").await;
    let negative = WatchCreateRequest { start_revision: -1, ..key("a") };
    check(negative, "etcdserver: mvcc: required revision has been compacted").await;
}

#[tokio::test]
async fn a_cancelled_watcher_says_so_and_is_silent_then() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    watching.create(key("a")).await;
    watching.create(key("b")).await;
    // Nobody knows watcher 9: no answer.
    watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 9 })).await;
    watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 0 })).await;
    let cancelled = watching.next().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled), (0, true));
    served.put("a", "1").await;
    served.put("b", "2").await;
    assert_eq!(watching.events().await, [put("b", "2", 3)]);
}

#[tokio::test]
async fn filters_leave_puts_or_deletes_out() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    let no_puts = WatchCreateRequest { filters: vec![FilterType::Noput as i32], ..key("a") };
    watching.create(no_puts).await;
    served.put("a", "1").await;
    served.delete("a").await;
    assert_eq!(watching.events().await, [deleted("a", 3)]);
}

#[tokio::test]
async fn a_compacted_start_is_created_then_cancelled_with_the_compact_revision() {
    let served = serve();
    for value in ["1", "2", "3"] {
        served.put("a", value).await;
    }
    let compact = CompactionRequest { revision: 3, physical: true };
    served.kv().compact(compact).await.expect("a compaction");
    let mut watching = Watching::open(&served).await;
    let request = WatchCreateRequest { start_revision: 2, ..key("a") };
    assert_eq!(watching.create(request).await.watch_id, 0);
    let cancelled = watching.next().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled, cancelled.compact_revision), (0, true, 3));
    assert_eq!((cancelled.cancel_reason.as_str(), revision(cancelled.header.as_ref())), ("", 0));
    watching.ask(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 0 })).await;
    let again = watching.next().await;
    assert_eq!((again.watch_id, again.canceled, again.compact_revision), (0, true, 0));
}

#[tokio::test]
async fn progress_of_the_whole_stream_is_told_on_request() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    watching.create(key("a")).await;
    served.put("a", "1").await;
    watching.events().await;
    served.put("b", "2").await;
    watching.ask(RequestUnion::ProgressRequest(WatchProgressRequest {})).await;
    let progress = watching.next().await;
    assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
    assert_eq!(revision(progress.header.as_ref()), 3);
}

#[tokio::test]
async fn each_of_many_watchers_on_a_stream_gets_its_events_under_its_own_id() {
    const WATCHERS: i64 = 300;
    let served = serve();
    served.put("key-0", "before").await;
    let mut watching = Watching::open(&served).await;
    for id in 0..WATCHERS {
        let prev_kv = id % 3 == 0;
        let request = WatchCreateRequest { prev_kv, ..key(&format!("key-{}", id % 2)) };
        assert_eq!(watching.create(request).await.watch_id, id);
    }
    let value = "v".repeat(1_000);
    for revision in 3..6 {
        served.put("key-0", &value).await;
        let mut told = Vec::new();
        while told.len() < 150 {
            let response = watching.next().await;
            assert_eq!(crate::served::revision(response.header.as_ref()), revision);
            let [event] = &response.events[..] else { panic!("{response:?}") };
            let kv = event.kv.as_ref().expect("a key");
            assert_eq!((kv.key(), kv.value()), (&b"key-0"[..], value.as_bytes()));
            assert_eq!(event.prev_kv.is_some(), response.watch_id % 3 == 0, "{response:?}");
            told.push(response.watch_id);
        }
        told.sort_unstable();
        assert!(told.into_iter().eq((0..WATCHERS).step_by(2)), "at {revision}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_watchers_of_a_busy_key_are_told_comes_in_fewer_messages() {
    const WATCHERS: usize = 100;
    const PUTS: i64 = 200;
    let served = serve();
    let mut watching = Watching::open(&served).await;
    for _ in 0..WATCHERS {
        watching.create(key("a")).await;
    }
    let reading = tokio::spawn(async move {
        let mut told = vec![Vec::new(); WATCHERS];
        let mut messages = 0;
        while told.iter().map(Vec::len).sum::<usize>()
            < WATCHERS * usize::try_from(PUTS).expect("positive")
        {
            let response = watching.next().await;
            messages += 1;
            let revisions = response.events.iter();
            let revisions = revisions.map(|event| event.kv.as_ref().expect("a key").mod_revision());
            told[usize::try_from(response.watch_id).expect("an identity")].extend(revisions);
        }
        (told, messages)
    });
    for _ in 0..PUTS {
        served.put("a", "value").await;
    }
    let (told, messages) = within("all events", reading).await.expect("no panic");
    assert!(told.iter().all(|told| told.iter().copied().eq(2..2 + PUTS)));
    // One client that puts, one after the other, leaves nothing else that events could wait for.
    assert!(messages < WATCHERS * 100, "{messages}");
}

#[tokio::test]
async fn a_request_that_is_too_long_ends_the_stream_in_grpcs_words() {
    let served = serve_with(|options| options.request_bytes_max = 1_000);
    let mut watching = Watching::open(&served).await;
    watching.ask(RequestUnion::CreateRequest(key(&"k".repeat(600 << 10)))).await;
    let end = within("the end", watching.responses.message()).await.expect_err("refused");
    assert_eq!(end.code(), Code::ResourceExhausted, "{end:?}");
    assert!(end.message().starts_with("grpc: received message larger than max"), "{end:?}");
}

#[tokio::test]
async fn an_idle_watcher_hears_of_progress_from_time_to_time() {
    let interval = Duration::from_millis(100);
    let served = serve_with(|options| options.watch_progress_notify_interval = interval);
    served.put("b", "1").await;
    let mut watching = Watching::open(&served).await;
    watching.create(WatchCreateRequest { progress_notify: true, ..key("a") }).await;
    let progress = watching.next().await;
    assert_eq!((progress.watch_id, progress.events.len()), (0, 0));
    assert_eq!(revision(progress.header.as_ref()), 2);
}

#[tokio::test]
async fn fragments_of_one_revision_join_to_its_events() {
    let served = serve_with(|options| options.request_bytes_max = 2 << 20);
    let value = "v".repeat(1 << 20);
    let mut watching = Watching::open(&served).await;
    for revision in 2..7 {
        assert_eq!(
            crate::served::revision(served.put("a", &value).await.header.as_ref()),
            revision
        );
    }
    let request = WatchCreateRequest { start_revision: 2, fragment: true, ..key("a") };
    watching.create(request).await;
    let mut revisions = Vec::new();
    while revisions.len() < 5 {
        let response = watching.next().await;
        let events = response.events.iter();
        revisions.extend(events.map(|event| event.kv.as_ref().expect("a key").mod_revision()));
    }
    assert_eq!(revisions, [2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_delays_nobody_and_loses_nothing() {
    const REVISIONS: i64 = 200;
    let served = serve();
    let value = "v".repeat(100 << 10);
    let mut stalled = Watching::open(&served).await;
    stalled.create(key("a")).await;
    let mut reading = Watching::open(&served).await;
    reading.create(key("a")).await;
    // 20 MB: far above what the transport, the stream and the engine's queue hold together.
    for revision in 2..2 + REVISIONS {
        served.put("a", &value).await;
        assert_eq!(reading.events().await, [put("a", &value, revision)]);
    }
    let mut revisions = Vec::new();
    while revisions.len() < usize::try_from(REVISIONS).expect("positive") {
        revisions.extend(stalled.events().await.into_iter().map(|event| event.3));
    }
    assert_eq!(revisions, (2..2 + REVISIONS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_ends_watches_as_unavailable() {
    let served = serve();
    let mut watching = Watching::open(&served).await;
    watching.create(key("a")).await;
    assert!(served.server.stop(Duration::from_secs(20)), "nothing was cut off");
    let end = within("the end", watching.responses.message()).await.expect_err("told why");
    assert_eq!((end.code(), end.message()), (Code::Unavailable, "etcdserver: server stopped"));
}
