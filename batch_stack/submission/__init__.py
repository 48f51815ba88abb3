"""Triggers, schedules and submitters. They create neither queues nor job definitions."""
