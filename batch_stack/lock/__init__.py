"""The lock file that refuses edits which would lose jobs or data."""
