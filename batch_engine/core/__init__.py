"""The decisions of AWS Batch: a pure state machine for real time and for virtual time."""
