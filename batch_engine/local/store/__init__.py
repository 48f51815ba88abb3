"""The state file: what was accepted is there after a crash. It interprets nothing."""
