"""Reports the findings of preflight on the construct tree at synthesis."""
