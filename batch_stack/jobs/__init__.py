"""Job definitions and what they consist of. A job knows no queue."""
