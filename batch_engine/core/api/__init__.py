"""The operations of AWS Batch. They check and answer requests and emit events, but change nothing.

Every operation raises ClientError for a request that AWS Batch would refuse.
"""
