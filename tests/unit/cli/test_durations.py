"""Durations on the command line: a number and a unit."""

import click
import pytest

from batch_cli.durations import Duration

WEEK_OR_LESS = Duration(min_s=1, max_s=7 * 86400)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("1.5m", 90), ("12h", 43_200), ("7d", 604_800)]
)
def test_a_number_with_a_unit_is_seconds(text: str, seconds: float) -> None:
    assert WEEK_OR_LESS.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-1d", "7w", "1e3s", "nand", "infs"])
def test_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"such as 7d, got '{text}'"):
        WEEK_OR_LESS.convert(text, None, None)


@pytest.mark.parametrize("text", ["0s", "0.5s", "8d", "169h"])
def test_a_duration_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"between 1s and 7d, got {text}"):
        WEEK_OR_LESS.convert(text, None, None)
