"""The state file: all accepted requests survive a crash. No rules of AWS Batch."""
