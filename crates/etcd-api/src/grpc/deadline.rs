//! How long a client waits for the answer to a call, as it says by `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

/// What is left of a client's patience when the call begins; `None`: it waits as long as it takes.
/// What cannot be read, and patience that is over, is refused in the words of the gRPC library
/// under etcd.
pub(crate) fn patience(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(timeout) = headers.get("grpc-timeout") else { return Ok(None) };
    let patience = parse(timeout.as_bytes())
        .map_err(|error| Status::internal(format!("malformed grpc-timeout: {error}")))?;
    // Go's clock has moved on by as much before it looks.
    if patience <= Duration::from_nanos(1) { Err(exceeded()) } else { Ok(Some(patience)) }
}

/// The client has given up.
pub(crate) fn exceeded() -> Status {
    Status::deadline_exceeded("context deadline exceeded")
}

/// Up to eight digits and a unit.
fn parse(timeout: &[u8]) -> Result<Duration, String> {
    let told = timeout.escape_ascii();
    let (unit, digits) = match timeout {
        [] | [_] => return Err(format!("transport: timeout string is too short: \"{told}\"")),
        [_, _, _, _, _, _, _, _, _, _, ..] => {
            return Err(format!("transport: timeout string is too long: \"{told}\""));
        }
        [digits @ .., unit] => (unit, digits),
    };
    let count = || {
        let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| {
            let told = digits.escape_ascii();
            format!("strconv.ParseUint: parsing \"{told}\": invalid syntax")
        })
    };
    match unit {
        b'n' => count().map(Duration::from_nanos),
        b'u' => count().map(Duration::from_micros),
        b'm' => count().map(Duration::from_millis),
        b'S' => count().map(Duration::from_secs),
        b'M' => count().map(|minutes| Duration::from_secs(minutes * 60)),
        b'H' => count().map(|hours| Duration::from_secs(hours * 3600)),
        _ => Err(format!("transport: timeout unit is not recognized: \"{told}\"")),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Code;

    use super::*;

    fn patience_of(timeout: &[u8]) -> Result<Option<Duration>, (Code, String)> {
        let value = HeaderValue::from_bytes(timeout).expect("a header value");
        let headers = HeaderMap::from_iter([("grpc-timeout".parse().expect("a name"), value)]);
        patience(&headers).map_err(|status| (status.code(), status.message().to_owned()))
    }

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        assert_eq!(patience(&HeaderMap::new()).expect("none"), None);
        for (timeout, nanos) in [
            ("2n", 2),
            ("3u", 3_000),
            ("04m", 4_000_000),
            ("5S", 5_000_000_000),
            ("6M", 360_000_000_000),
            ("99999999H", 99_999_999 * 3_600_000_000_000_u128),
        ] {
            let patience = patience_of(timeout.as_bytes()).expect("a time").expect("one");
            assert_eq!(patience.as_nanos(), nanos, "{timeout}");
        }
    }

    #[test]
    fn what_is_over_or_no_time_is_refused_in_etcds_words() {
        let exceeded = Err((Code::DeadlineExceeded, "context deadline exceeded".to_owned()));
        assert_eq!(patience_of(b"0S"), exceeded);
        assert_eq!(patience_of(b"1n"), exceeded);
        for (timeout, text) in [
            (&b""[..], "transport: timeout string is too short: \"\""),
            (b"S", "transport: timeout string is too short: \"S\""),
            (b"123456789S", "transport: timeout string is too long: \"123456789S\""),
            (b"1x", "transport: timeout unit is not recognized: \"1x\""),
            (b"-1S", "strconv.ParseUint: parsing \"-1\": invalid syntax"),
            (b"+1S", "strconv.ParseUint: parsing \"+1\": invalid syntax"),
            (b"\xff1S", "strconv.ParseUint: parsing \"\\xff1\": invalid syntax"),
        ] {
            let refused = (Code::Internal, format!("malformed grpc-timeout: {text}"));
            assert_eq!(patience_of(timeout), Err(refused));
        }
    }
}
