"""Which revisions ``SkipDeregisterOnUpdate`` keeps, remembered beyond the server's end."""

import json
from pathlib import Path


class KeptRevisions:
    """New revision of a job definition -> the one that it superseded, until the update has been cleaned up.

    Args:
        path: where they are written; None where nothing need outlive the process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: dict[str, str] = {}
        if path is not None and path.exists():
            self._kept = json.loads(path.read_text())

    def keep(self, successor: str, superseded: str) -> None:
        """Remember that an update has superseded a revision that stays active."""
        self._kept[successor] = superseded
        self._save()

    def rolled_back(self, successor: str) -> None:
        """Forget it: the successor is deleted, and what it superseded is the stack's again."""
        if self._kept.pop(successor, None) is not None:
            self._save()

    def cleaned_up(self, superseded: str) -> bool:
        """Say whether a revision is kept; asked once, by the deletion that cleans up after the update."""
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
