"""The settings of a batch platform, typed and checked. Imports no aws_cdk."""
