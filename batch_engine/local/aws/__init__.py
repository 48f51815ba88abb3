"""Calls to other services of the local cloud: logs, secrets, permissions."""
