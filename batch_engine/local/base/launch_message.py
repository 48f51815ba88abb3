"""The messages that start an attempt, as the engine and its runner both read them.

It imports the standard library only: the runner stays small.
"""

from typing import TypedDict

Mount = tuple[str, str, bool, bool]
"""Source, target, whether it is read-only, whether the job runs without it; a tmpfs has an empty source."""
Limit = tuple[str, int, int]
"""The name of a resource limit, its soft and its hard value."""


class Setup(TypedDict):
    """The changes that are made for an attempt before its command starts."""

    mounts: list[Mount]
    limits: list[Limit]
    user: tuple[int, int] | None
    folders: list[str]


class Launch(TypedDict):
    """The message that makes the runner start an attempt.

    ``key`` is the job's id and the attempt's number. ``scratch`` is the attempt's own folder, ``cwd`` the
    folder that its command starts in if it exists. ``setup`` is None for a plain process. ``marks`` are the
    names of the variables by which the attempt's processes are recognised.
    """

    key: tuple[str, int]
    argv: list[str]
    env: dict[str, str]
    scratch: str
    cwd: str
    log: str
    memory_bytes: int
    marks: tuple[str, ...]
    setup: Setup | None
