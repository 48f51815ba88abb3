"""Rational numbers of PyAV, whose type changed between its versions 18 and 19."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def fraction(value: Any) -> Fraction | None:
    """Returns the value as a Fraction, or None if it is not known (None in PyAV 18, zero in 19)."""
    return Fraction(value.numerator, value.denominator) if value else None
