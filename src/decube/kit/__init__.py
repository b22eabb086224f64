"""Clock, ids, durations, backoff, errors, logging. Knows no domain."""
