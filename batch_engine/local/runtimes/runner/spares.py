"""Keeps the unused folders and log files of ended attempts for the next ones.

A file system needs longer to create and remove a folder than most short commands run. A rename is cheap.
"""

import contextlib
import os
from dataclasses import dataclass, field

MAX_SPARES = 64
TMP = "tmp"
SPARE_PREFIX = "spare-"


@dataclass(slots=True)
class Spares:
    """Gives each attempt a folder with an empty ``tmp`` in it, and an empty log file.

    A folder is taken back only if it is unchanged: empty, with the same owner and mode.
    """

    _folders: list[str] = field(default_factory=list)
    _logs: list[str] = field(default_factory=list)
    _made: int = 0
    _mode_and_owner: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None

    def provide(self, folder: str, log: str) -> None:
        """Puts a folder at one path and, if there is a spare one, a log file at the other.

        Raises:
            OSError: the folder exists, or cannot be created.
        """
        if self._folders:
            os.rename(self._folders.pop(), folder)
        else:
            os.mkdir(folder)
            os.mkdir(os.path.join(folder, TMP))
            self._mode_and_owner = self._mode_and_owner or _mode_and_owner(folder)
        if self._logs:
            os.rename(self._logs.pop(), log)

    def keep_folder(self, folder: str) -> bool:
        """Takes a folder back; returns False if its attempt has changed it."""
        if len(self._folders) >= MAX_SPARES:
            return False
        try:
            if os.listdir(folder) != [TMP] or os.listdir(os.path.join(folder, TMP)):
                return False
            if _mode_and_owner(folder) != self._mode_and_owner:
                return False
            self._folders.append(self._move(folder))
        except OSError:
            return False
        return True

    def keep_log(self, log: str) -> None:
        """Takes an empty log file back, or removes it."""
        with contextlib.suppress(OSError):
            if len(self._logs) < MAX_SPARES:
                self._logs.append(self._move(log))
            else:
                os.unlink(log)

    def _move(self, path: str) -> str:
        self._made += 1
        spare = os.path.join(os.path.dirname(path), f"{SPARE_PREFIX}{self._made}")
        os.rename(path, spare)
        return spare


def _mode_and_owner(folder: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Returns mode and owner of a folder and of the folder inside it."""
    outer, inner = os.stat(folder), os.stat(os.path.join(folder, TMP))
    return (outer.st_mode, outer.st_uid, outer.st_gid), (inner.st_mode, inner.st_uid, inner.st_gid)
