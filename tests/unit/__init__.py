"""Unit tests: pure functions, AWS's API over HTTP, and an engine that only records."""
