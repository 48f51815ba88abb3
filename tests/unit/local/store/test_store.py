"""What is saved is what comes back."""

import sqlite3
from pathlib import Path

import pytest

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.audit.invariants import violations
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry
from batch_engine.local.engine.random_ids import RandomIds
from batch_engine.local.store.outbox_table import Announcement
from batch_engine.local.store.schema import bring_up_to_date
from batch_engine.local.store.store import SCHEMA_VERSION, Store, StoreError


def core(registry):
    arns, ids = Arns("000000000000", "us-east-1"), RandomIds()
    scheduler = Scheduler(registry, arns, ids, HostLimits(2000), Catalogue(instance_types()))
    return scheduler, ControlPlane(registry, scheduler, arns, ids)


def fill(plane, scheduler):
    """One of everything, and jobs in every state that lasts."""
    resources = {"type": "SPOT", "maxvCpus": 2, "minvCpus": 0, "instanceTypes": ["m6g"], "instanceRole": "r"}
    resources["spotIamFleetRole"] = "r"
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "8"}],
    }
    rules = [{"onReason": "*", "action": "EXIT"}]
    environment = {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources}
    order = [{"order": 1, "computeEnvironment": "ce"}]
    strategy = {"attempts": 2, "evaluateOnExit": rules}
    definition = {"jobDefinitionName": "d", "type": "container", "containerProperties": container}
    plane.call("CreateComputeEnvironment", environment, 1)
    plane.call("CreateSchedulingPolicy", {"name": "p", "fairsharePolicy": {"shareDecaySeconds": 1}}, 1)
    plane.call("CreateJobQueue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order}, 1)
    plane.call("RegisterJobDefinition", {**definition, "retryStrategy": strategy}, 1)
    for _ in range(5):
        plane.call("SubmitJob", {"jobName": "j", "jobQueue": "q", "jobDefinition": "d"}, 2)
    first, second = list(scheduler.registry.jobs)[:2]
    scheduler.handle(AttemptStarted(first, 1), 3)
    scheduler.handle(AttemptFinished(first, 1, 0), 4)
    scheduler.handle(AttemptStarted(second, 1), 5)
    scheduler.handle(AttemptFinished(second, 1, 9, "because"), 6)


def test_round_trip(tmp_path):
    scheduler, plane = core(Registry())
    fill(plane, scheduler)
    store = Store(tmp_path / "state")
    store.save(scheduler.registry.changed, [], 0)
    store.close()
    restored = Registry()
    for entity in Store(tmp_path / "state").load():
        restored.add(entity)
    before = scheduler.registry
    assert restored.compute_environments == before.compute_environments
    assert restored.job_queues == before.job_queues
    assert restored.scheduling_policies == before.scheduling_policies
    assert restored.job_definitions == before.job_definitions
    assert restored.jobs == before.jobs
    assert violations(core(restored)[0]) == []
    assert restored.next_order() > max(job.order for job in before.jobs.values())


def test_deleted_entities_stay_away(tmp_path):
    scheduler, plane = core(Registry())
    fill(plane, scheduler)
    store = Store(tmp_path / "state")
    store.save(scheduler.registry.changed, [], 0)
    arn = next(iter(scheduler.registry.scheduling_policies))
    store.save({arn: None}, [], 0)
    assert arn not in [entity.arn for entity in store.load()]


def test_events_wait_until_they_are_delivered(tmp_path):
    store = Store(tmp_path / "state")
    first, second = store.save({}, [Announcement("t", "r", {"n": 1}), Announcement("t", "r", {"n": 2})], 7)
    store.outbox.delivered([first.id])
    store.close()
    (pending,) = Store(tmp_path / "state").outbox.pending()
    assert (pending.id, pending.time_ms, pending.what) == (second.id, 7, Announcement("t", "r", {"n": 2}))


def test_changes_and_events_are_saved_together_or_not_at_all(tmp_path):
    scheduler, plane = core(Registry())
    fill(plane, scheduler)
    store = Store(tmp_path / "state")
    with pytest.raises(sqlite3.Error, match="type 'object' is not supported"):
        store.save(scheduler.registry.changed, [Announcement("t", object(), {})], 0)
    assert list(store.load()) == []


def test_unusable_files_are_named(tmp_path):
    (tmp_path / "text").write_text("this is no database, and it is longer than a page header " * 100)
    with pytest.raises(StoreError, match="text is not a readable state file"):
        Store(tmp_path / "text")
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(StoreError, match=f"has version {SCHEMA_VERSION + 1}"):
        Store(tmp_path / "newer")


BAD_JOBS = {
    "no member": "{}",
    "no object": "[]",
    "no JSON": "{",
    "of another type": '{"id": 1, "order": "x"}',
}


@pytest.mark.parametrize("body", BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_row_of_an_earlier_version_that_cannot_be_read_is_named(tmp_path, body):
    file = sqlite3.connect(tmp_path / "state")
    file.executescript((Path(__file__).parent / "state_files/version-2.sql").read_text())
    file.execute("INSERT INTO entity VALUES ('arn:x', 'Job', ?)", (body,))
    file.commit()
    file.close()
    with pytest.raises(StoreError, match="state is not a readable state file: "):
        Store(tmp_path / "state")
    file = sqlite3.connect(tmp_path / "state")
    assert file.execute("PRAGMA user_version").fetchone() == (2,), "it is left as it was"
    file.close()


@pytest.mark.parametrize("row", [("arn:x", "JobQueue", "{}"), ("arn:x", "Wish", "{}")])
def test_a_row_that_cannot_be_read_is_named(tmp_path, row):
    store = Store(tmp_path / "state")
    store._connection.execute("INSERT INTO entity VALUES (?, ?, ?)", row)
    with pytest.raises(StoreError, match="state is not a readable state file: "):
        list(store.load())


def test_a_full_disk_is_named_when_a_file_is_brought_up_to_date(tmp_path):
    file = sqlite3.connect(tmp_path / "state", isolation_level=None)
    file.executescript((Path(__file__).parent / "state_files/version-2.sql").read_text())
    file.execute(f"PRAGMA max_page_count = {file.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        bring_up_to_date(file)
    assert file.execute("PRAGMA user_version").fetchone() == (2,)
