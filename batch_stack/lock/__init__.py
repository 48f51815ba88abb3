"""The lock file, and the check that refuses edits that would lose jobs or data."""
