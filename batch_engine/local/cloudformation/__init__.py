"""Resource types of CloudFormation: those of AWS Batch, and others that the local cloud needs."""
