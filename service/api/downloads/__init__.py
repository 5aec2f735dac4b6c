"""Files that go out: digests, ranges and conditional requests."""
