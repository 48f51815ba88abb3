"""Notifications about jobs, queues and undelivered events, which other rooms create."""
