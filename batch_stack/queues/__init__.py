"""Priority tiers: job queues with their time limits, alarms, messages and budgets."""
