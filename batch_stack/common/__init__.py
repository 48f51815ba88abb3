"""Helpers that several constructs share: the data policy, keys, grants, queues, functions and log groups."""
