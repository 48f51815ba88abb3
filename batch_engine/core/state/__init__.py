"""The state of the core: jobs, resources, decisions and wake-ups. It decides nothing."""
