"""Findings of the checks before deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """A setting that would fail, or may not work as intended, once it is deployed.

    Attributes:
        level: an ``error`` ends synthesis, a ``warning`` is shown.
        check: the name of the check.
        path: the setting: ``tiers.critical.time_limits[0]``.
        message: one sentence that begins with the path, and says what is allowed and what was given.
    """

    level: Literal["error", "warning"]
    check: str
    path: str
    message: str

    @property
    def id(self) -> str:
        """The id that acknowledges a warning: ``batch-stack:<check>:<path>``, with a point before indexes."""
        # CDK reads an id, `[ack: ...]`, up to the first closing bracket.
        return f"batch-stack:{self.check}:{self.path.replace('[', '.').replace(']', '')}"

    @property
    def section(self) -> str:
        """The section of the settings that the path is in: ``tiers``."""
        return self.path.partition(".")[0]


def error(check: str, path: str, text: str) -> Finding:
    """Returns a finding that ends synthesis.

    Args:
        check: the name of the check.
        path: the setting.
        text: what follows the path in the message.
    """
    return Finding("error", check, path, f"{path} {text}")


def warning(check: str, path: str, text: str) -> Finding:
    """Returns a finding that is shown and does not end synthesis.

    Args:
        check: the name of the check.
        path: the setting.
        text: what follows the path in the message.
    """
    return Finding("warning", check, path, f"{path} {text}")
