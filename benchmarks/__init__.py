"""Benchmarks, each against something real in the same run: `python -m benchmarks`."""
