"""The `batch-stack demo` command. It uses the local cloud from outside, as a user would."""
