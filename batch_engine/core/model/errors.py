"""The errors of the core."""


class ClientError(Exception):
    """A request that AWS Batch would refuse with a ``ClientException`` (HTTP 400).

    Args:
        message: the reason, in AWS's words where they are known.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class IllegalTransitionError(Exception):
    """A move between states that AWS Batch does not have: a defect of the engine, never of a request."""
