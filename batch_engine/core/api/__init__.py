"""The operations of AWS Batch: they check requests, answer them and emit events. They change nothing."""
