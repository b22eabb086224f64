"""The transports: parse, call a service, translate the answer or the error. No decisions."""
