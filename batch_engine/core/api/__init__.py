"""The operations of AWS Batch: they check requests and answer them. When a job runs is decided elsewhere."""
