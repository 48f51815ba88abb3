"""Notifications about jobs, queues and undelivered events that other packages create."""
