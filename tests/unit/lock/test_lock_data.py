"""The lock file: edits after which data could not be read, or would be an empty place, are refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from batch_stack.lock.check import check_against_lock
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.root import Settings

KEY = "arn:aws:kms:eu-west-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
FILES = {"file_system": {"access_points": {"all": {"path": "/all"}}}}


def _settings(database: str | None = None, **storage: Any) -> Settings:
    results = {"database": {"name": database}} if database else {}
    return Settings.model_validate({"storage": storage, "results": results})


@pytest.mark.parametrize(
    ("before", "after", "advice"),
    [
        (
            _settings(kms=True),
            _settings(),
            "storage.kms must be true, as deployed: jobs could no longer read",
        ),
        (
            _settings(**FILES),
            _settings(kms=True, **FILES),
            "storage.kms must be false as long as the deployed storage.file_system is kept",
        ),
        (
            _settings("results"),
            _settings("results", kms=True),
            "storage.kms must be false as long as the deployed results.database is kept",
        ),
        (
            _settings(kms_key_arn=KEY),
            _settings(kms_key_arn=KEY.replace("key/0", "key/1")),
            f"storage.kms_key_arn must be {KEY}, as deployed: jobs could no longer read what",
        ),
        (
            _settings(kms_key_arn=KEY),
            _settings(kms=True),
            f"storage.kms_key_arn must be {KEY}, as deployed",
        ),
        (
            _settings(kms=True),
            _settings(kms_key_arn=KEY),
            "storage.kms must be true, as deployed",
        ),
        (
            _settings("results"),
            _settings("results", kms_key_arn=KEY),
            "storage.kms_key_arn must not be given as long as the deployed results.database is kept",
        ),
        (
            _settings("results"),
            _settings("outcomes"),
            "results.database.name must be results, got 'outcomes'",
        ),
    ],
)
def test_an_edit_that_would_lose_data_is_refused(
    before: Settings, after: Settings, advice: str, tmp_path: Path
) -> None:
    lock = tmp_path / "batch.lock.json"
    check_against_lock(before, lock, create=True)
    with pytest.raises(SettingsError, match=re.escape(advice)):
        check_against_lock(after, lock)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_settings(), _settings(kms=True)),
        (_settings(), _settings("results", kms=True, **FILES)),
        (_settings("results", **FILES), _settings()),
        (_settings(kms=True), _settings("results", kms=True, **FILES)),
    ],
)
def test_what_is_added_or_given_up_is_noted(before: Settings, after: Settings, tmp_path: Path) -> None:
    lock = tmp_path / "batch.lock.json"
    check_against_lock(before, lock, create=True)
    check_against_lock(after, lock)
    check_against_lock(after, lock)


def test_a_file_of_an_earlier_version_knows_of_no_data(tmp_path: Path) -> None:
    lock = tmp_path / "batch.lock.json"
    lock.write_text('{"version": 1}')
    check_against_lock(_settings("results", kms=True), lock)
    assert '"kms": true' in lock.read_text()
