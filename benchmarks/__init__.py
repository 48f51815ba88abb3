"""Benchmarks, each against a real program in the same run: `python -m benchmarks`."""
