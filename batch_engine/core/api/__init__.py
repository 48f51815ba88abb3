"""The operations of AWS Batch. They check and answer requests and emit events, but change nothing."""
