"""Small immutable classes that are made several times a job."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """Makes a dataclass that the type checker treats as frozen.

    At run time nothing stops an assignment: ``dataclass(frozen=True)`` sets each field through
    ``object.__setattr__``, which makes an object cost twice as much.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
