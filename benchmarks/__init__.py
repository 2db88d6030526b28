"""Benchmarks: ours, the limit and the peers, from the same run on the same machine."""
