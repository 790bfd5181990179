"""Benchmarks: each prints ratios against a named peer, measured in the same run, beside the machine's own limit."""
