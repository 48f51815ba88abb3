"""AWS Batch on one machine: the core driven by real time and real processes."""
