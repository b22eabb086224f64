//! Certificates that change while connections live.

use std::fs;
use std::time::Duration;

use decube_tls::{ClientTls, ServerLimits, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::authority::{Authority, LOCALHOST, Leaf, trusting};
use crate::handshakes::talk;

const INTERVAL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_new_certificate_is_used_and_old_connections_live_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let files = old.issue("server", &LOCALHOST);
    let server = ServerTls::open(files.clone(), ServerLimits::default()).expect("good files");
    let trusts_old = trusting(old.issue("client", &LOCALHOST), &old.ca_file());
    let trusts_old = ClientTls::open(trusts_old).expect("good files");
    let trusts_new = trusting(new.issue("client", &LOCALHOST), &new.ca_file());
    let trusts_new = ClientTls::open(trusts_new).expect("good files");
    assert!(!server.reload().expect("good files"), "nothing changed");
    let (Ok(mut accepted), Ok(mut connected)) = talk(&server, &trusts_old).await else {
        panic!("the old certificate serves");
    };

    let replacement = new.issue("server", &Leaf { ends: 2200, ..LOCALHOST });
    fs::copy(&replacement.cert_file, &files.cert_file).expect("a copy");
    fs::copy(&replacement.key_file, &files.key_file).expect("a copy");
    assert!(server.reload().expect("good files"), "it is in use");
    assert!(talk(&server, &trusts_new).await.1.is_ok());
    assert!(talk(&server, &trusts_old).await.1.is_err());
    assert_eq!(server.status().not_after_s, 7_258_118_400, "1 January 2200");

    accepted.write_all(b"still").await.expect("the old connection lives");
    accepted.flush().await.expect("the old connection lives");
    let mut word = [0; 5];
    connected.read_exact(&mut word).await.expect("the old connection lives");
    assert_eq!(&word, b"still");
}

#[tokio::test]
async fn a_bad_pair_keeps_the_old_one_and_is_told_until_it_is_good() {
    let authority = Authority::new("ours");
    let files = authority.issue("server", &LOCALHOST);
    let server = ServerTls::open(files.clone(), ServerLimits::default()).expect("good files");
    let client = trusting(authority.issue("client", &LOCALHOST), &authority.ca_file());
    let client = ClientTls::open(client).expect("good files");
    let before = server.status();
    assert_eq!(before.refused, None);

    // As between the two writes of who replaces them one by one.
    let next = authority.issue("next", &Leaf { ends: 2200, ..LOCALHOST });
    fs::copy(&next.cert_file, &files.cert_file).expect("a copy");
    server.reload().expect_err("the key is another's");
    let refused = server.status();
    assert!(refused.refused.is_some_and(|reason| reason.contains("server.key")));
    assert_eq!(refused.not_after_s, before.not_after_s);
    assert!(talk(&server, &client).await.1.is_ok(), "the old pair serves");
    assert!(!server.reload().expect("looked at already"), "the same bad pair");
    assert!(server.status().refused.is_some());

    fs::copy(&next.key_file, &files.key_file).expect("a copy");
    assert!(server.reload().expect("they fit"));
    assert_eq!(server.status().refused, None);
    fs::remove_file(&files.cert_file).expect("a file to remove");
    server.reload().expect_err("it is gone");
    fs::copy(&next.cert_file, &files.cert_file).expect("a copy");
    assert!(server.reload().expect("it is back"));
    assert_eq!(server.status().refused, None);
}

#[tokio::test(start_paused = true)]
async fn the_files_are_looked_at_once_an_interval() {
    let authority = Authority::new("ours");
    let files = authority.issue("server", &LOCALHOST);
    let server = ServerTls::open(files, ServerLimits::default()).expect("good files");
    let before = server.status().not_after_s;
    let following = server.clone();
    let following = tokio::spawn(async move { following.follow_files(INTERVAL).await });
    authority.issue("server", &Leaf { ends: 2200, ..LOCALHOST });
    let changed = async {
        while server.status().not_after_s == before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // On the paused clock, which the disk may hold up a little.
    tokio::time::timeout(2 * INTERVAL, changed).await.expect("within the interval");
    following.abort();
}
