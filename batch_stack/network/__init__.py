"""The VPC in which jobs run: subnets, endpoints and flow log."""
