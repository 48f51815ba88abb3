"""Settings of compute environments of every kind, and what instance types are. Knows no tier and no job."""
