"""Folders and log files that attempts have left as they found them, kept for the next ones.

Making a folder and removing it again takes a file system longer than most short commands run; renaming takes
next to nothing.
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

    Only what is exactly as it was made is taken back: empty, and with the owner and the mode that it had.
    """

    _folders: list[str] = field(default_factory=list)
    _logs: list[str] = field(default_factory=list)
    _made: int = 0
    _looks: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None

    def provide(self, folder: str, log: str) -> None:
        """Have both stand at these paths; the log file only if there is a spare one.

        Raises:
            OSError: the folder exists, or cannot be made.
        """
        if self._folders:
            os.rename(self._folders.pop(), folder)
        else:
            os.mkdir(folder)
            os.mkdir(os.path.join(folder, TMP))
            self._looks = self._looks or _looks(folder)
        if self._logs:
            os.rename(self._logs.pop(), log)

    def keep_folder(self, folder: str) -> bool:
        """Take a folder back; False where its attempt has left a trace in it."""
        if len(self._folders) >= MAX_SPARES:
            return False
        try:
            if os.listdir(folder) != [TMP] or os.listdir(os.path.join(folder, TMP)):
                return False
            if _looks(folder) != self._looks:
                return False
            self._folders.append(self._move(folder))
        except OSError:
            return False
        return True

    def keep_log(self, log: str) -> None:
        """Take an empty log file back, or remove it."""
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


def _looks(folder: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Mode and owner of a folder and of the one inside it."""
    outer, inner = os.stat(folder), os.stat(os.path.join(folder, TMP))
    return (outer.st_mode, outer.st_uid, outer.st_gid), (inner.st_mode, inner.st_uid, inner.st_gid)
