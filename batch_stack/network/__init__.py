"""The VPC that jobs run in: subnets, endpoints, flow log."""
