"""Settings of compute environments of every kind, and facts about instance types. Imports no tier or job."""
