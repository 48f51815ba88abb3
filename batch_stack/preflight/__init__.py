"""Checks of settings at synthesis, without an AWS account. Imports no aws_cdk."""
