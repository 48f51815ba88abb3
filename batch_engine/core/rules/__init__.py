"""Pure rules of AWS Batch: containers, nodes, pods, retries, fair share. Functions over values, no state."""
