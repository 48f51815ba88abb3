"""The error of an operation that failed inside the engine."""

from batch_engine.core.model.actions import Action


class ServerError(Exception):
    """A request that was undone after an internal error: a ``ServerException`` (HTTP 500).

    Args:
        message: the internal error, in one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.actions: list[Action] = []
        """The decisions that were made all the same."""
