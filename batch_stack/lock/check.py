"""Checks settings against `batch.lock.json`, so that an edit cannot lose deployed jobs or data.

CloudFormation deletes a job queue together with its jobs, and a template does not show that a queue existed
before. The file does, under version control beside the settings: see docs/adr/025.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batch_stack.lock.file import Lock, LockedData, LockedTier, read, write
from batch_stack.lock.retired import deletions, remembered, unknown
from batch_stack.preflight.finding import Finding
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.compute.base import WITH_EFA
from batch_stack.settings.root import Settings
from batch_stack.settings.sections import RetiredSettings

if TYPE_CHECKING:
    # Only for types: app.py imports this file while Node.js is busy.
    from constructs import Construct

# https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html
_CHANGED_IN_PLACE = {"spot", "on_demand"}


def check_against_lock(
    settings: Settings, path: Path | str, *, create: bool = False, scope: Construct | None = None
) -> list[Finding]:
    """Refuses settings that would lose jobs or data, and writes what the settings add to the file.

    Args:
        settings: the settings to provision.
        path: the file; if it does not exist, nothing is checked.
        create: whether to create the file if it does not exist.
        scope: the stack or the platform, on which CDK shows the warnings; by default they are warnings of
            Python.

    Returns:
        The warnings, one for each tier and compute environment that a deployment would delete. Each says what
        to check first.

    Raises:
        SettingsError: a tier or a compute environment is missing without being retired, or would be replaced;
            the platform has another name; a retired name was never deployed; a new compute environment is
            disabled; or the file cannot be read or written.
    """
    path = Path(path)
    if not path.exists() and not create:
        return []
    known = read(path) if path.exists() else None
    lock = known or Lock()
    problems = [
        *_renamed(settings, lock, path),
        *_lost_tiers(settings, lock),
        *_lost_compute(settings, lock),
        *_lost_consumables(settings, lock),
        *_lost_data(settings, lock.data),
        *(unknown(settings, lock) if known is not None else []),
    ]
    if problems:
        raise SettingsError("\n  ".join([f"{path}: what is deployed would be lost", *problems]))
    if known is not None:
        _check_new(settings, known, path)
    found = list(deletions(settings))
    write(path, _of_settings(settings, remembered(settings)))
    _show(found, settings, scope)
    return found


def _show(found: list[Finding], settings: Settings, scope: Construct | None) -> None:
    if scope is None:
        for finding in found:
            if finding.id not in settings.acknowledge:
                warnings.warn(f"{finding.message} [ack: {finding.id}]", stacklevel=3)
    elif found:
        from batch_stack.validation.platform import warn  # noqa: PLC0415

        for finding in found:
            warn(scope, finding, settings)


def _of_settings(settings: Settings, retired: RetiredSettings) -> Lock:
    """Returns the content that the file has after a deployment of these settings."""
    return Lock(
        name=settings.name,
        compute={name: one.fixed_kind for name, one in sorted(settings.compute.items())},
        consumable_resources={
            name: _type(one.replenishable) for name, one in sorted(settings.consumable_resources.items())
        },
        tiers={
            name: LockedTier(compute=one.compute, state=one.state, fair_share=one.fair_share is not None)
            for name, one in sorted(settings.tiers.items())
        },
        data=_data(settings),
        retired=retired,
    )


def _check_new(settings: Settings, lock: Lock, path: Path) -> None:
    """Refuses a new compute environment that is disabled.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateComputeEnvironment.html (`state`)
    """
    for name, one in settings.compute.items():
        if name not in lock.compute and one.state == "disabled":
            raise SettingsError(
                f"{path}: compute.{name}.state must be enabled until it is deployed, got 'disabled': AWS "
                "Batch makes no compute environment that is disabled"
            )


def _renamed(settings: Settings, lock: Lock, path: Path) -> Iterator[str]:
    if lock.name not in (None, settings.name):
        yield (
            f"name must be {lock.name}, as deployed, got {settings.name!r}: CloudFormation would make "
            "a second platform, with empty queues and buckets, beside the first. To have both, write another "
            f"settings file. If the first platform is destroyed, remove {path.name}"
        )


def _data(settings: Settings) -> LockedData:
    database = settings.results.database
    return LockedData(
        kms=settings.storage.kms,
        kms_key_arn=settings.storage.kms_key_arn,
        file_system=settings.storage.file_system is not None,
        database=database.name if database is not None else None,
    )


def _lost_tiers(settings: Settings, lock: Lock) -> Iterator[str]:
    for name in settings.retired.tiers:
        if name in settings.tiers:
            yield f"retired.tiers must not have {name!r}, which tiers still has: remove it there"
    for name, tier in lock.tiers.items():
        if name in settings.tiers:
            if (settings.tiers[name].fair_share is not None) != tier.fair_share:
                must = "have" if tier.fair_share else "not have"
                yield (
                    f"tiers.{name} must {must} fair_share, as deployed: AWS Batch neither adds a "
                    "fair-share policy to a queue that has none nor takes one away. Add a tier under "
                    "another name, and retire this one"
                )
            continue
        if tier.state != "disabled":
            yield (
                f"tiers must have {name!r}: without it CloudFormation deletes its queue with all jobs in it. "
                "First point triggers and all other submitters to another tier, "
                f"set tiers.{name}.state to disabled and deploy; once the queue has no job of any status, "
                f"remove the tier and list {name!r} in retired.tiers. A new name is a new tier: add it with "
                "another priority, submit to it, and retire the old one"
            )
        elif name not in settings.retired.tiers:
            yield (
                f"tiers must have {name!r}, or retired.tiers must: list it there once `state: disabled` is "
                "deployed and its queue has no job of any status"
            )


def _type(replenishable: bool) -> str:
    return "REPLENISHABLE" if replenishable else "NON_REPLENISHABLE"


def _lost_consumables(settings: Settings, lock: Lock) -> Iterator[str]:
    for name, kind in lock.consumable_resources.items():
        now = settings.consumable_resources.get(name)
        if now is None:
            if name not in settings.retired.consumable_resources:
                yield (
                    f"consumable_resources must have {name!r}, or retired.consumable_resources must: list it "
                    "there once no job waits for it, because such a job could never start"
                )
        elif _type(now.replenishable) != kind:
            yield (
                f"consumable_resources.{name}.replenishable must be {str(kind == 'REPLENISHABLE').lower()}, "
                f"got {str(now.replenishable).lower()}: CloudFormation would replace the resource, and jobs "
                "that wait for it could never start. Add one under another name"
            )


def _lost_data(settings: Settings, lock: LockedData) -> Iterator[str]:
    now = _data(settings)
    if lock.kms and not now.kms:
        yield (
            "storage.kms must be true, as deployed: jobs could no longer read what was written with "
            "the platform's own key"
        )
    elif lock.kms_key_arn not in (None, now.kms_key_arn):
        yield (
            f"storage.kms_key_arn must be {lock.kms_key_arn}, as deployed: jobs could no longer read "
            f"what was written with that key, got {now.kms_key_arn!r}"
        )
    elif (now.kms or now.kms_key_arn) and not (lock.kms or lock.kms_key_arn):
        setting = "kms must be false" if now.kms else "kms_key_arn must not be given"
        for kept, place in ((lock.file_system, "storage.file_system"), (lock.database, "results.database")):
            if kept:
                yield (
                    f"storage.{setting} as long as the deployed {place} is kept: its key cannot be "
                    "changed, so CloudFormation would put an empty one in its place"
                )
    if lock.database is not None and now.database not in (None, lock.database):
        yield (
            f"results.database.name must be {lock.database}, got {now.database!r}: CloudFormation would put "
            "an empty database in its place. CREATE DATABASE adds another to the same cluster"
        )


def _lost_compute(settings: Settings, lock: Lock) -> Iterator[str]:
    users: Mapping[str, list[str]] = {
        name: [tier for tier, one in lock.tiers.items() if name in one.compute] for name in lock.compute
    }
    for name in settings.retired.compute:
        if name in settings.compute:
            yield f"retired.compute must not have {name!r}, which compute still has: remove it there"
    for name, kind in lock.compute.items():
        if name in settings.compute:
            now = settings.compute[name].fixed_kind
            if now.endswith(WITH_EFA) != kind.endswith(WITH_EFA):
                yield (
                    f"compute.{name}.efa must be {str(kind.endswith(WITH_EFA)).lower()}, as deployed: "
                    "a compute environment has its security groups either from its launch template or of its "
                    "own. Add one under another name, give it to the tiers, and retire this one"
                )
            elif now != kind and {now, kind} != _CHANGED_IN_PLACE:
                yield (
                    f"compute.{name}.type must be {kind}, got {now!r}: CloudFormation would replace the "
                    "compute environment and end what runs on it. Add one of the new type under another "
                    "name, give it to the tiers, and retire this one"
                )
        elif users[name]:
            yield (
                f"compute must have {name!r}, which tiers.{users[name][0]} uses as deployed: first take it "
                f"out of tiers.{users[name][0]}.compute and deploy, so that no new job starts there. A tier "
                "that has no other needs the new compute environment first: add it in the same deployment"
            )
        elif name not in settings.retired.compute:
            yield (
                f"compute must have {name!r}, or retired.compute must: list it there once no job runs on it, "
                "because CloudFormation ends running jobs"
            )
