"""The invariants of the core's state. Only tests and benchmarks use them."""
