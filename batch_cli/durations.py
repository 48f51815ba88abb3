"""A duration on the command line: a number and its unit."""

import re

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class Duration(click.ParamType[float]):
    """A number with the unit s, m, h or d, as seconds.

    Args:
        min_s: the shortest duration that is allowed, in seconds.
        max_s: the longest.
    """

    name = "duration"

    def __init__(self, *, min_s: float, max_s: float) -> None:
        self._min_s = min_s
        self._max_s = max_s

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns the seconds.

        Raises:
            click.BadParameter: another form, or a duration out of range.
        """
        if isinstance(value, int | float):
            return float(value)
        match = _PATTERN.fullmatch(str(value))
        if match is None:
            self.fail(f"must be a number with s, m, h or d behind it, such as 7d, got {value!r}", param, ctx)
        seconds = float(match[1]) * _SECONDS[match[2]]
        if not self._min_s <= seconds <= self._max_s:
            self.fail(
                f"must be between {_text(self._min_s)} and {_text(self._max_s)}, got {value}", param, ctx
            )
        return seconds


def _text(seconds: float) -> str:
    """Returns the duration in the largest unit that gives a whole number."""
    unit = next(unit for unit in reversed(_SECONDS) if seconds % _SECONDS[unit] == 0)
    return f"{seconds / _SECONDS[unit]:g}{unit}"
