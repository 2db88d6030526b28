"""The same 1,000 steps and the same three in each peer; run by the peer's own Python."""
