"""What `batch.lock.json` looks like, and how it is read and written."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.values import State
from batch_stack.settings.sections import RetiredSettings


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LockedTier(_Model):
    """What the file knows of a tier."""

    compute: list[str]
    state: State
    fair_share: bool = False


class LockedData(_Model):
    """What the file knows of where data is kept."""

    kms: bool = False
    kms_key_arn: str | None = None
    file_system: bool = False
    database: str | None = None


class Lock(_Model):
    """What the file knows of a platform: tiers, kinds of compute environments, and what jobs share.

    `retired` has what the settings retire and the platform once had: the file remembers it for as long as
    they say so, because nobody can tell here which synthesis is the one that is deployed.
    """

    version: int = 1
    name: str | None = None
    compute: dict[str, str] = {}
    consumable_resources: dict[str, str] = {}
    tiers: dict[str, LockedTier] = {}
    data: LockedData = LockedData()
    retired: RetiredSettings = RetiredSettings()


def read(path: Path) -> Lock:
    """Read the file; a SettingsError says why that cannot be."""
    try:
        return Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}: not a lock file of this version: take it back from version control, or write it anew "
            f"from the settings that are deployed ({str(error).splitlines()[0]})"
        ) from error


def write(path: Path, lock: Lock) -> None:
    """Write the file if it would change, whole or not at all; a SettingsError says why that cannot be."""
    text = json.dumps(lock.model_dump(), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from error
