"""The capacity for jobs: instances, scaling and usage. Queues and their order are not in here."""
