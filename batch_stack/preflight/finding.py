"""What a check before deployment has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would fail, or may disappoint, once it is deployed.

    Attributes:
        level: an ``error`` ends synthesis, a ``warning`` is shown.
        check: the check's name, by which a warning can be acknowledged in CDK.
        message: begins with the path in the settings; says what is allowed and what was given.
    """

    level: Literal["error", "warning"]
    check: str
    message: str

    @property
    def id(self) -> str:
        """What a warning is acknowledged by: ``batch-stack:<check>:<path>``, an index behind a point."""
        # CDK reads an id, `[ack: ...]`, up to the first bracket that closes.
        path = self.message.partition(" ")[0].replace("[", ".").replace("]", "")
        return f"batch-stack:{self.check}:{path}"


def error(check: str, message: str) -> Finding:
    """Something that cannot work."""
    return Finding("error", check, message)


def warning(check: str, message: str) -> Finding:
    """Something that may not be meant."""
    return Finding("warning", check, message)
