"""Benchmarks: what scoring, the vault, adapters, the server and learning cost."""
