"""What must always hold of the core's state. Tests and benchmarks use it; nothing else in the core does."""
