"""The ways in which the core says no."""


class ClientError(Exception):
    """A request that AWS Batch would refuse with a ``ClientException`` (HTTP 400).

    Args:
        message: what was wrong, in AWS's words where they are known.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class IllegalTransitionError(Exception):
    """A job was asked to move where no AWS Batch job can go: a defect of the engine, never of a request."""
