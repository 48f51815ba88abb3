"""AWS Batch as a target of EventBridge and Scheduler, and as a task of Step Functions."""
