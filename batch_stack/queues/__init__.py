"""Priority tiers: job queues with their limits, alarms, messages and budgets."""
