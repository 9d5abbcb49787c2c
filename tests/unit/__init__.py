"""Units: pure tables, AWS's API on the wire, and an engine that only records."""
