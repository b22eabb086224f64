//! How much harder random tests try: `TEST_EFFORT` times, which `make test-slow` sets.

pub(crate) fn effort() -> u64 {
    std::env::var("TEST_EFFORT").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
