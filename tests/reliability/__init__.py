"""What holds when things go wrong: failures are sentences, tokens are nowhere, and load is borne."""
