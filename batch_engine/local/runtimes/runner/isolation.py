"""Gives an attempt its mounts, limits and user.

This runs in the copy of the runner that becomes the attempt. The mounts are in a mount namespace of the
attempt's own. If the runner is not root, a user namespace gives the copy the right to mount.
"""

import ctypes
import os
import resource
from typing import Any

from batch_engine.local.base.launch_message import Mount, Setup

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2
ROOT_SUFFIX = ".root"
"""The suffix of the folder on which an attempt's own root is mounted; the runner removes it at the end."""
SHADOWED_MAX = 1000
"""The most entries that a folder may have in which a mount point has to be created."""

_libc: ctypes.CDLL | None = None


class IsolationError(Exception):
    """The system does not allow a setup; the text is an ECS ``reason``."""


def load() -> None:
    """Loads the C library before the fork, since the copy must not load anything."""
    global _libc  # noqa: PLW0603 - loaded once a process
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)


def enter(setup: Setup, folder: str) -> None:
    """Applies an attempt's setup to this process, then goes to its folder.

    Args:
        setup: the mounts, limits and user, and the folders to create.
        folder: the attempt's own folder.

    Raises:
        IsolationError: the system does not allow it.
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
            # Jobs raise it for Elastic Fabric Adapters. This machine has none, so its own limit is enough.
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


def _enter_mounts(mounts: list[Mount], folder: str) -> None:
    try:
        _own_namespace()
    except OSError as error:
        if all(optional for *_, optional in mounts):
            return
        raise IsolationError(
            f"CannotCreateContainerError: no volume can be mounted on this system: {error.strerror}"
        ) from error
    root = _Root(folder)
    # A mount inside another one comes after it.
    for source, target, read_only, optional in sorted(mounts, key=lambda mount: mount[1].count("/")):
        try:
            _bind(source, target, read_only, root)
        except IsolationError:
            if not optional:
                raise


class _Root:
    """The machine's root, or one of the attempt's own once a folder has to be created in the root."""

    def __init__(self, folder: str) -> None:
        self._place = folder + ROOT_SUFFIX
        self._is_own = False

    def make_own(self) -> None:
        """Changes to a root of the attempt's own with the same entries, once for all mounts."""
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
    """Creates a folder that exists in this namespace only, not on the machine's disks."""
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
    """Mounts a tmpfs with the entries of a folder, so that new entries can be created in it."""
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
