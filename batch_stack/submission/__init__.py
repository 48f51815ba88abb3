"""What starts jobs: triggers, schedules and submitters. It provisions no queue and no job definition."""
