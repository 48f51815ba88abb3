"""Helpers that several constructs use: keys, IAM, queues, functions, log groups."""
