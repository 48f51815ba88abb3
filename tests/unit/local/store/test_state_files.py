"""State files that earlier versions of the program wrote themselves: what they hold goes on."""

import sqlite3
from pathlib import Path

import pytest

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.wire import job_detail
from batch_engine.core.audit.invariants import violations
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, ResourcesChanged
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry
from batch_engine.local.engine.random_ids import RandomIds
from batch_engine.local.store.schema import SCHEMA_VERSION
from batch_engine.local.store.store import Store

FILES = Path(__file__).parent / "state_files"
TASKS = "arn:aws:ecs:us-east-1:000000000000:task/ce_Batch_00000000-0000-4000-8000-000000000001"
LAST_DIGITS = 5
STATUSES = {"j0": "SUCCEEDED", "j1": "STARTING", "j2": "RUNNING", "j3": "RUNNABLE", "j4": "RUNNABLE"}
WITH_ARRAY = {**STATUSES, "array": "PENDING", "after": "PENDING"}
HELD = {1: STATUSES, 2: WITH_ARRAY, 3: WITH_ARRAY, 4: WITH_ARRAY}


def read(path, version):
    """The file as that version left it, opened by this one."""
    connection = sqlite3.connect(path)
    connection.executescript((FILES / f"version-{version}.sql").read_text())
    assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    connection.close()
    store, registry = Store(path), Registry()
    for entity in store.load():
        registry.add(entity)
    return store, registry


def container(attempt):
    return attempt["container"]["taskArn"], attempt["container"]["logStreamName"]


def scheduler_of(registry):
    arns = Arns("000000000000", "us-east-1")
    return Scheduler(registry, arns, RandomIds(), HostLimits(2000), Catalogue(instance_types()))


@pytest.mark.parametrize("version", HELD)
def test_jobs_resources_and_events_of_an_earlier_version_are_read(tmp_path, version):
    store, registry = read(tmp_path / "state", version)
    assert {job.name: job.status for job in registry.jobs.values()} == HELD[version]
    by_name = {job.name: job for job in registry.jobs.values()}
    assert [attempt.exit_code for attempt in by_name["j1"].attempts] == [9, None]
    shown = [container(attempt) for attempt in job_detail(by_name["j0"], registry)["attempts"]]
    assert shown == [(f"{TASKS}/{LAST_DIGITS:032x}", f"d/default/{LAST_DIGITS:032x}")], "as they were told"
    assert list(registry.job_queues["q"].compute_environments) == ["ce"]
    assert registry.job_definitions["d"][1].body["retryStrategy"] == {"attempts": 2}
    assert violations(scheduler_of(registry)) == []
    waiting = store.outbox.pending()
    assert [event.id for event in waiting] == [2, 3]
    for event in waiting:
        assert event.what.detail_type == "Batch Job State Change"
        assert event.what.resource == event.what.detail["jobArn"]
    store.close()
    file = sqlite3.connect(tmp_path / "state")
    assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    file.close()


@pytest.mark.parametrize("version", HELD)
def test_jobs_of_an_earlier_version_go_on_to_their_end(tmp_path, version):
    store, registry = read(tmp_path / "state", version)
    scheduler = scheduler_of(registry)
    for job in [job for job in registry.jobs.values() if job.status.is_placed]:
        scheduler.handle(HostLost(job.id, job.attempt.number), 1)
    scheduler.handle(ResourcesChanged(), 2)
    while placed := [job for job in registry.jobs.values() if job.status.is_placed]:
        for job in placed:
            scheduler.handle(AttemptStarted(job.id, job.attempt.number), 3)
            scheduler.handle(AttemptFinished(job.id, job.attempt.number, 0), 4)
            assert violations(scheduler) == []
    ended = {job.name: job.status for job in registry.jobs.values() if job.parent_id is None}
    # Its second attempt of two was lost with its host.
    assert ended == dict.fromkeys(HELD[version], JobStatus.SUCCEEDED) | {"j1": JobStatus.FAILED}
    store.save(registry.changed, [], 5)
    again = Registry()
    for entity in store.load():
        again.add(entity)
    assert again.jobs == registry.jobs
