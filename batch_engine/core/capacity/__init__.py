"""Where a job fits: instances, scaling and what is in use. It knows nothing of queues and of their order."""
