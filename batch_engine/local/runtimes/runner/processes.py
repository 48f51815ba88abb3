"""Asks the system about processes: their memory, their environment, their parents."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

_PROC = "/proc"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HAS_PROC = os.path.exists(f"{_PROC}/self/stat")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan among its descendants, if the system can."""
    import ctypes  # noqa: PLC0415 - needed once, and not on every system

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """Returns the children of this process, also dead ones; empty if the system does not list them."""
    try:
        # This runs after every attempt, and a file object costs more than the read.
        source = os.open(f"{_PROC}/self/task/{os.getpid()}/children", os.O_RDONLY)
        try:
            text = b""
            while part := os.read(source, 1 << 16):
                text += part
        finally:
            os.close(source)
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def environment_of(pid: int) -> set[bytes]:
    """Returns the ``NAME=value`` entries that a process started with; empty if they cannot be read."""
    try:
        with open(f"{_PROC}/{pid}/environ", "rb") as file:
            return set(file.read().split(b"\0"))
    except OSError:
        return set()


def memory_by_session() -> dict[int, tuple[int, list[int]]]:
    """Returns the resident bytes and the process ids of each session."""
    found: dict[int, tuple[int, list[int]]] = {}
    for pid, session, resident in _processes():
        total, pids = found.get(session, (0, []))
        found[session] = (total + resident, [*pids, pid])
    return found


def _processes() -> Iterator[tuple[int, int, int]]:
    if not HAS_PROC:
        yield from _processes_by_ps()
        return
    for name in os.listdir(_PROC):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"{_PROC}/{name}/stat", "rb") as file:
                # The name before the last ")" may hold anything.
                fields = file.read().rpartition(b")")[2].split()
            yield int(name), int(fields[3]), int(fields[21]) * _PAGE_BYTES


def _processes_by_ps() -> Iterator[tuple[int, int, int]]:
    """Yields process id, group id (/proc would know the session) and resident bytes."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        lines = subprocess.run(
            ["/bin/ps", "-axo", "pid=,pgid=,rss="], capture_output=True, text=True, check=True, timeout=5
        ).stdout.splitlines()
        for line in lines:
            pid, group, resident_kib = line.split()
            yield int(pid), int(group), int(resident_kib) * 1024


def proportional_bytes(pids: list[int]) -> int | None:
    """Returns the memory of processes, each shared page divided among its users; None if it is unknown."""
    total = 0
    for pid in pids:
        try:
            with open(f"{_PROC}/{pid}/smaps_rollup", "rb") as file:
                for line in file:
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1]) * 1024
                        break
        except FileNotFoundError:
            if not HAS_PROC:
                return None
        except ProcessLookupError:
            continue
        except OSError:
            return None
    return total
