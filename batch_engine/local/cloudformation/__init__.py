"""Batch resources in CloudFormation stacks, and resource types that MiniStack lacks."""
