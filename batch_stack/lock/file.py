"""The format of `batch.lock.json`, its reader and its writer."""

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
    """A tier in the file."""

    compute: list[str]
    state: State
    fair_share: bool = False


class LockedData(_Model):
    """The services that keep data, in the file."""

    kms: bool = False
    kms_key_arn: str | None = None
    file_system: bool = False
    database: str | None = None


class Lock(_Model):
    """A platform in the file: tiers, kinds of compute environments, consumable resources and data services.

    `retired` has the entries that the settings retire and that the platform once had. The file keeps them as
    long as the settings do, because a synthesis does not know whether it will be deployed.
    """

    version: int = 1
    name: str | None = None
    compute: dict[str, str] = {}
    consumable_resources: dict[str, str] = {}
    tiers: dict[str, LockedTier] = {}
    data: LockedData = LockedData()
    retired: RetiredSettings = RetiredSettings()


def read(path: Path) -> Lock:
    """Reads the file. Raises a SettingsError with the reason if it cannot."""
    try:
        return Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}: not a lock file of this version: take it back from version control, or write it again "
            f"from the settings that are deployed ({str(error).splitlines()[0]})"
        ) from error


def write(path: Path, lock: Lock) -> None:
    """Writes the file, completely or not at all, if it changes. Raises a SettingsError if it cannot."""
    text = json.dumps(lock.model_dump(), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from error
