"""Programs of the workshop: licences, generated code, peers, benchmarks."""
