"""What the core remembers: jobs, resources, decisions and wake-ups. It decides nothing."""
