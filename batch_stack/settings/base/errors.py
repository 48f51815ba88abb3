"""The errors that settings raise."""

from __future__ import annotations


class SettingsError(ValueError):
    """Settings that cannot be used. The message names the file, the field, the value and what is allowed."""


class MisfitError(ValueError):
    """Sections of the settings that do not fit together.

    Attributes:
        problems: one sentence for each problem, beginning with the path of the field.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n  ".join(problems))
        self.problems = problems
