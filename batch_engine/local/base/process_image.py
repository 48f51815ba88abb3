"""The settings of an image that its jobs get as processes: WORKDIR and USER, where this machine has them."""

import grp
import os
import pwd
import stat
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from batch_engine.local.base.dockerfile import ImageConfig


def ids_of(user: str) -> tuple[int, int] | None:
    """Returns the ids of a user on this machine.

    Args:
        user: a name or a number, also with ``:group`` behind it.

    Returns:
        The user id and the group id, or None if this machine does not know a name in it.
    """
    name, _, group = user.partition(":")
    try:
        if name.isdecimal():
            user_id, group_id = int(name), _primary_group(int(name))
        else:
            entry = pwd.getpwnam(name)
            user_id, group_id = entry.pw_uid, entry.pw_gid
        if group:
            group_id = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        return None
    return user_id, group_id


def _primary_group(user_id: int) -> int:
    try:
        return pwd.getpwuid(user_id).pw_gid
    except KeyError:
        # Container engines do the same for a number that the image does not know.
        return 0


def user_of(image: ImageConfig, scratch: str) -> tuple[int, int] | None:
    """Returns the ids of an image's USER; None for root, and for a user whose processes could not run here.

    Args:
        image: the image's configuration.
        scratch: the folder of an attempt.
    """
    if not image.user or _unusable_user(image.user, scratch) is not None:
        return None
    ids = ids_of(image.user)
    return None if ids == (0, 0) else ids


def unusable(image: ImageConfig, container: Mapping[str, Any], scratch: str) -> Iterator[str]:
    """Yields one sentence for each setting of an image that a process cannot have.

    Args:
        image: the image's configuration.
        container: the job's container properties.
        scratch: the folder of an attempt.
    """
    if image.workdir and not (os.path.isdir(image.workdir) or _is_mounted(container, image.workdir)):
        yield f"WORKDIR {image.workdir} is not a folder of this machine: jobs start in their own folder"
    if image.user and os.geteuid() == 0 and not container.get("user"):
        reason = _unusable_user(image.user, scratch)
        if reason is not None:
            yield f"USER {image.user} {reason}: jobs run as root"


def _is_mounted(container: Mapping[str, Any], folder: str) -> bool:
    points = [point.get("containerPath") or "" for point in container.get("mountPoints") or []]
    tmpfs = [entry["containerPath"] for entry in (container.get("linuxParameters") or {}).get("tmpfs") or []]
    return any(target and Path(folder).is_relative_to(target) for target in [*points, *tmpfs])


def _unusable_user(user: str, scratch: str) -> str | None:
    """Returns why a process cannot run as a user, or None."""
    if (ids := ids_of(user)) is None:
        return "is not a user of this machine (a number is understood everywhere)"
    # The programs of jobs are beside the server's Python, which may be a link to one elsewhere.
    needed = (scratch, sys.executable, os.path.realpath(sys.executable))
    for path in needed:
        if (closed := _closed_to(ids, os.path.dirname(path))) is not None:
            return f"may not enter {closed}"
    return None


@lru_cache(maxsize=64)
def _closed_to(ids: tuple[int, int], folder: str) -> str | None:
    """Returns the first folder of a path that a user may not enter, or None."""
    user_id, group_id = ids
    if user_id == 0:
        return None
    for step in [*reversed(Path(folder).parents), Path(folder)]:
        found = step.stat()
        needed = stat.S_IXOTH
        if found.st_uid == user_id:
            needed = stat.S_IXUSR
        elif found.st_gid == group_id:
            needed = stat.S_IXGRP
        if not found.st_mode & needed:
            return str(step)
    return None
