"""The HTTP face of AWS Batch: requests are read and checked by AWS's service model."""
