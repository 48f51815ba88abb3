"""Checks of retired names: the lock file must contain them, and a deployment must not lose jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from batch_stack.lock.file import Lock
from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.base.names import did_you_mean, id_of_entry
from batch_stack.settings.root import Settings
from batch_stack.settings.sections import RetiredSettings

_STATUSES = "SUBMITTED PENDING RUNNABLE STARTING RUNNING"


def unknown(settings: Settings, lock: Lock) -> Iterator[str]:
    """Finds retired names that the platform never had.

    Args:
        settings: the settings to provision.
        lock: the content of the file so far.
    """
    known = _known(lock)
    for section, names in _retired(settings).items():
        for index, name in enumerate(names):
            if name not in known[section]:
                yield (
                    f"retired.{section}[{index}] must be a name that {section} had in the lock file, "
                    f"got {name!r}{did_you_mean(name, known[section])}: nothing of that name is missing"
                )


def remembered(settings: Settings) -> RetiredSettings:
    """Returns the retired names, which the file keeps as long as the settings do.

    Args:
        settings: the settings to provision.
    """
    return RetiredSettings(**{section: sorted(names) for section, names in _retired(settings).items()})


def deletions(settings: Settings) -> Iterator[Finding]:
    """Warns of deletions that lose jobs if the queue or the compute environment is not empty.

    Synthesis knows neither whether it is empty nor whether the result will be deployed. So the warning stays
    until the name is removed from `retired`.

    Args:
        settings: the settings to provision.
    """
    for name in settings.retired.tiers:
        queue = f"{id_of_entry('tiers', name)}Queue"
        yield warning(
            "deletedQueue",
            f"tiers.{name}",
            "is retired: if its queue is still deployed, this deletes it with every job in "
            "it. Be sure that `state: disabled` was deployed, not only synthesised, and that the queue is "
            "empty:\n"
            "  aws batch describe-job-queues --query "
            f"\"jobQueues[?contains(jobQueueName, '{queue}')].[jobQueueName,state]\"\n"
            f"  for status in {_STATUSES}; do "
            "aws batch list-jobs --job-queue NAME --job-status $status; done\n"
            f"Once that is deployed, take {name!r} out of retired.tiers",
        )
    for name in settings.retired.compute:
        environment = id_of_entry("compute", name)
        yield warning(
            "deletedCompute",
            f"compute.{name}",
            "is retired: if it is still deployed, this deletes it and ends every job that "
            "runs on it. Be sure that the tiers were deployed without it, not only synthesised, and that "
            "nothing runs there:\n"
            '  aws batch describe-compute-environments --query "computeEnvironments[?contains('
            f"computeEnvironmentName, '{environment}')].[computeEnvironmentName,ecsClusterArn]\"\n"
            "  aws ecs list-tasks --cluster ARN\n"
            f"Once that is deployed, take {name!r} out of retired.compute",
        )


def _retired(settings: Settings) -> Mapping[str, list[str]]:
    retired = settings.retired
    return {
        "tiers": retired.tiers,
        "compute": retired.compute,
        "consumable_resources": retired.consumable_resources,
    }


def _known(lock: Lock) -> Mapping[str, Collection[str]]:
    return {
        "tiers": {*lock.tiers, *lock.retired.tiers},
        "compute": {*lock.compute, *lock.retired.compute},
        "consumable_resources": {*lock.consumable_resources, *lock.retired.consumable_resources},
    }
