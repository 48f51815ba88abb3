"""The capacity for jobs: instances, scaling and usage. It does not know queues and their order."""
