"""Remembers the revisions of job definitions that ``SkipDeregisterOnUpdate`` keeps, also after a restart."""

import json
from pathlib import Path


class KeptRevisions:
    """A map from each new revision to the kept one that it superseded, until the clean-up of the update.

    Args:
        path: the file of the map; None to keep it in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: dict[str, str] = {}
        if path is not None and path.exists():
            self._kept = json.loads(path.read_text())

    def keep(self, successor: str, superseded: str) -> None:
        """Records that a revision was superseded and stays active."""
        self._kept[successor] = superseded
        self._save()

    def rolled_back(self, successor: str) -> None:
        """Forgets a successor that a rollback has deleted: the stack has the superseded revision again."""
        if self._kept.pop(successor, None) is not None:
            self._save()

    def cleaned_up(self, superseded: str) -> bool:
        """Returns whether a revision is kept, and forgets it: the clean-up of an update asks once."""
        found = [successor for successor, kept in self._kept.items() if kept == superseded]
        for successor in found:
            del self._kept[successor]
        if found:
            self._save()
        return bool(found)

    def _save(self) -> None:
        if self._path is None:
            return
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(json.dumps(self._kept))
        partial.replace(self._path)
