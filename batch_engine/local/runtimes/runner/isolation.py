"""What an attempt gets besides a folder: mounts where its container would have them, limits, a user.

Runs in the copy of the runner that is about to become the attempt. Mounts live in a mount namespace of the
attempt's own; a user who is not root gets the right to make them from a user namespace.
"""

import ctypes
import os
import resource
from collections.abc import Mapping
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2
ROOT_SUFFIX = ".root"
"""Beside an attempt's folder: where its own root is mounted. The runner removes it when the attempt ends."""
SHADOWED_MAX = 1000
"""How many neighbours a mount point that does not exist yet may have."""

_libc: ctypes.CDLL | None = None


class IsolationError(Exception):
    """The system does not allow it; the text is an ECS ``reason``."""


def load() -> None:
    """Find the C library before the fork: its copy must not load anything."""
    global _libc  # noqa: PLW0603 - loaded once a process
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)


def enter(setup: Mapping[str, Any], folder: str) -> None:
    """Take on what an attempt asks for, then go to its folder.

    Args:
        setup: ``mounts`` as (source, target, read-only, may be left out; an empty source is a tmpfs),
            ``limits`` as (name, soft, hard), ``user`` as (user id, group id) or None, and ``folders`` to
            make.
        folder: the attempt's working directory.

    Raises:
        IsolationError: the system refuses.
    """
    for path in setup["folders"]:
        os.makedirs(path, exist_ok=True)
    if setup["mounts"]:
        _enter_mounts(setup["mounts"], folder)
    for name, soft, hard in setup["limits"]:
        _limit(name, soft, hard)
    if setup["user"] is not None:
        user_id, group_id = setup["user"]
        for path in (folder, os.path.join(folder, "tmp"), *setup["folders"]):
            os.chown(path, user_id, group_id)
        os.chdir(folder)
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    else:
        os.chdir(folder)


def _limit(name: str, soft: int, hard: int) -> None:
    number = getattr(resource, f"RLIMIT_{name.upper()}", None)
    if number is None:
        raise IsolationError(f"CannotCreateContainerError: this system has no ulimit {name}")
    try:
        resource.setrlimit(number, (soft, hard))
    except (OSError, ValueError) as error:
        if number == resource.RLIMIT_MEMLOCK:
            # For Elastic Fabric Adapters, of which this machine has none: as much as it allows.
            resource.setrlimit(number, (resource.getrlimit(number)[1],) * 2)
            return
        raise IsolationError(
            f"CannotCreateContainerError: ulimit {name} cannot be set to {soft}:{hard}: {error}"
        ) from error


def _call(name: str, *arguments: Any) -> None:
    if _libc is None:
        raise IsolationError("CannotCreateContainerError: the C library is not loaded")
    try:
        function = getattr(_libc, name)
    except AttributeError:
        raise IsolationError(f"CannotCreateContainerError: this system has no {name}") from None
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)


def _enter_mounts(mounts: list[tuple[str, str, bool, bool]], folder: str) -> None:
    try:
        _own_namespace()
    except OSError as error:
        if all(optional for *_, optional in mounts):
            return
        raise IsolationError(
            f"CannotCreateContainerError: no volume can be mounted on this system: {error.strerror}"
        ) from error
    root = _Root(folder)
    # What is mounted in the folder of another volume comes after it.
    for source, target, read_only, optional in sorted(mounts, key=lambda mount: mount[1].count("/")):
        try:
            _bind(source, target, read_only, root)
        except IsolationError:
            if not optional:
                raise


class _Root:
    """The machine's root, until a folder has to be made in it: nothing can be laid over a root."""

    def __init__(self, folder: str) -> None:
        self._place = folder + ROOT_SUFFIX
        self._is_own = False

    def make_own(self) -> None:
        """Take another root, with the same entries; once is enough for all mounts."""
        if self._is_own:
            return
        os.mkdir(self._place)
        _show("/", self._place)
        os.chroot(self._place)
        # The new root shows itself in itself.
        _call("umount2", self._place.encode(), MNT_DETACH)
        self._is_own = True


def _own_namespace() -> None:
    if os.geteuid() == 0:
        _call("unshare", CLONE_NEWNS)
    else:
        user_id, group_id = os.getuid(), os.getgid()
        _call("unshare", CLONE_NEWNS | CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user_id} {user_id} 1"),
            ("gid_map", f"{group_id} {group_id} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount("none", "/", "none", MS_REC | MS_PRIVATE)


def _bind(source: str, target: str, read_only: bool, root: _Root) -> None:
    try:
        _make_folder(target, root)
        if source:
            _mount(source, target, "none", MS_BIND | MS_REC)
        else:
            _mount("tmpfs", target, "tmpfs", 0)
        if source and read_only:
            _mount("none", target, "none", MS_BIND | MS_REMOUNT | MS_RDONLY)
    except OSError as error:
        raise IsolationError(
            f"CannotCreateContainerError: {source or 'tmpfs'} cannot be mounted at {target}: {error.strerror}"
        ) from error


def _make_folder(path: str, root: _Root) -> None:
    """Have a folder exist in this namespace, without a trace on the machine's own disks."""
    existing = os.path.normpath(path)
    missing: list[str] = []
    while not os.path.lexists(existing):
        existing, name = os.path.split(existing)
        missing.insert(0, name)
    if not missing:
        return
    if existing == "/":
        root.make_own()
    else:
        _show(existing, existing)
    os.makedirs(os.path.join(existing, *missing))


def _show(folder: str, place: str) -> None:
    """Lay a tmpfs at a place that shows the entries of a folder, so that new ones can be made."""
    names = os.listdir(folder)
    if len(names) > SHADOWED_MAX:
        raise IsolationError(
            f"CannotCreateContainerError: a new folder in {folder} cannot be mounted by the process runtime; "
            "make it on this machine first"
        )
    original = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    mode = os.fstat(original).st_mode & 0o7777
    _mount("tmpfs", place, "tmpfs", 0)
    os.chmod(place, mode)
    for name in names:
        behind, before = f"/proc/self/fd/{original}/{name}", os.path.join(place, name)
        if os.path.islink(behind):
            os.symlink(os.readlink(behind), before)
        elif os.path.isdir(behind):
            os.mkdir(before)
            _mount(behind, before, "none", MS_BIND | MS_REC)
        else:
            os.close(os.open(before, os.O_CREAT | os.O_WRONLY))
            _mount(behind, before, "none", MS_BIND)
    os.close(original)
