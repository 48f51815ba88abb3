"""Deliveries to targets: EventBridge, Scheduler and Step Functions that submit jobs."""
