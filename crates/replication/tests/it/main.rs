//! Real engines that replicate over loopback, through a proxy that breaks what it carries.

#[path = "../../../tls/tests/it/authority.rs"]
#[allow(dead_code, reason = "it is for the tests of TLS")]
mod authority;
mod held;
mod joining;
mod link;
mod member;
mod promotion;
mod strangers;
mod streaming;
mod tls;
