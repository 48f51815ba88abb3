"""A job's two rows hold all of it, and the jobs in files of earlier versions become such rows."""

import json
import sqlite3

import pytest
from pydantic import TypeAdapter

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.audit.invariants import violations
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Job
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.arrays import SHARED_WITH_CHILDREN
from batch_engine.core.state.registry import Registry
from batch_engine.local.engine.random_ids import RandomIds
from batch_engine.local.store.outbox_table import Announcement
from batch_engine.local.store.store import SCHEMA_VERSION, Store, StoreError

NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "8"}]
CONTAINER = {"image": "i", "command": ["c"], "resourceRequirements": NEEDS}
NODES = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [{"targetNodes": "0:1", "container": CONTAINER}],
}


class Saving:
    """A core whose changes are saved after every step, as the engine does."""

    def __init__(self, store):
        self.store, self.registry, self.now_ms = store, Registry(), 0
        self.scheduler, self.plane = core(self.registry)
        resources = {
            "type": "EC2",
            "maxvCpus": 4,
            "minvCpus": 0,
            "instanceTypes": ["m6g"],
            "instanceRole": "r",
        }
        self.call(
            "CreateComputeEnvironment",
            computeEnvironmentName="ce",
            type="MANAGED",
            computeResources=resources,
        )
        order = [{"order": 1, "computeEnvironment": "ce"}]
        self.call("CreateJobQueue", jobQueueName="q", priority=1, computeEnvironmentOrder=order)
        self.call(
            "RegisterJobDefinition", jobDefinitionName="d", type="container", containerProperties=CONTAINER
        )
        self.call("RegisterJobDefinition", jobDefinitionName="n", type="multinode", nodeProperties=NODES)

    def call(self, operation, /, **request):
        response, _ = self.plane.call(operation, request, self.now_ms)
        self.save()
        return response

    def tell(self, event):
        self.scheduler.handle(event, self.now_ms)
        self.save()

    def save(self):
        self.now_ms += 1
        self.store.save(self.registry.changed, [], 0)
        self.registry.changed.clear()

    def submit(self, **request):
        return self.call("SubmitJob", **{"jobName": "j", "jobQueue": "q", "jobDefinition": "d"} | request)[
            "jobId"
        ]

    def do_everything(self):
        """Jobs, children and nodes in every state that lasts, some of them more than once."""
        single = self.submit(retryStrategy={"attempts": 2}, tags={"a": "1"}, parameters={"p": "v"})
        self.call("TagResource", resourceArn=self.registry.jobs[single].arn, tags={"b": "2"})
        array = self.submit(
            arrayProperties={"size": 6}, retryStrategy={"attempts": 2}, timeout={"attemptDurationSeconds": 60}
        )
        self.submit(dependsOn=[{"jobId": array}], schedulingPriorityOverride=None)
        self.call("CancelJob", jobId=f"{array}:5", reason="not this one")
        for job_id, code in ((single, 1), (f"{array}:0", 0), (f"{array}:1", 7)):
            self.tell(AttemptStarted(job_id, 1))
            self.tell(AttemptFinished(job_id, 1, code, "because"))
        self.tell(HostLost(f"{array}:2", 1))
        self.call("TerminateJob", jobId=single, reason="enough")
        self.submit(jobDefinition="n")


def core(registry):
    arns, ids = Arns("000000000000", "us-east-1"), RandomIds()
    scheduler = Scheduler(registry, arns, ids, catalogue=Catalogue(instance_types()))
    return scheduler, ControlPlane(registry, scheduler, arns, ids)


def restored(path):
    registry, store = Registry(), Store(path)
    for entity in store.load():
        registry.add(entity)
    store.close()
    return registry


@pytest.fixture
def saving(tmp_path):
    run = Saving(Store(tmp_path / "state"))
    run.do_everything()
    run.store.close()
    return run


def test_every_job_comes_back_as_it_was(saving, tmp_path):
    back = restored(tmp_path / "state")
    assert len({job.status for job in saving.registry.jobs.values()}) >= 5
    assert back.jobs == saving.registry.jobs
    assert violations(core(back)[0]) == []


def test_children_are_not_written_down_twice(saving, tmp_path):
    specs, states = (
        sqlite3.connect(tmp_path / "state").execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("job_spec", "job_state")
    )
    jobs = saving.registry.jobs.values()
    assert states == len(jobs)
    assert specs == len([job for job in jobs if job.array_index is None])


def earlier_version(saving, path, version):
    """The file as version 1 or 2 of it would have been written."""
    file = sqlite3.connect(path)
    file.execute(
        "CREATE TABLE entity (arn TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID"
    )
    more = "" if version == 1 else ", detail_type TEXT NOT NULL, resource TEXT NOT NULL"
    file.execute(
        "CREATE TABLE outbox "
        f"(id INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, detail TEXT NOT NULL{more})"
    )
    detail = json.dumps({"jobArn": "arn:job", "n": 1})
    file.execute(
        f"INSERT INTO outbox VALUES (7, 5, ?{'' if version == 1 else ', ?, ?'})",
        (detail,) if version == 1 else (detail, "Batch Job State Change", "arn:job"),
    )
    everything = sqlite3.connect(saving.path).execute("SELECT * FROM entity").fetchall()
    file.executemany("INSERT INTO entity VALUES (?, ?, ?)", everything)
    for job in saving.registry.jobs.values():
        body = TypeAdapter(Job).dump_python(job, mode="json")
        for member in SHARED_WITH_CHILDREN if job.array_index is not None else ():
            del body[member]
        if version == 1:
            del body["serial"]
        file.execute("INSERT INTO entity VALUES (?, 'Job', ?)", (job.arn, json.dumps(body)))
    file.execute(f"PRAGMA user_version = {version}")
    file.commit()
    file.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_version_is_taken_over(saving, tmp_path, version):
    saving.path = tmp_path / "state"
    earlier_version(saving, tmp_path / "earlier", version)
    back = restored(tmp_path / "earlier")
    serials = [job.serial for job in back.jobs.values() if job.array_index is None]
    assert len(set(serials)) == len(serials)
    for registry in (back, saving.registry):
        for job in registry.jobs.values():
            job.serial = 0  # version 1 had none, so that they were given out anew
    assert back.jobs == saving.registry.jobs
    store = Store(tmp_path / "earlier")
    (pending,) = store.outbox.pending()
    what = Announcement("Batch Job State Change", "arn:job", {"jobArn": "arn:job", "n": 1})
    assert (pending.id, pending.time_ms, pending.what) == (7, 5, what)
    assert store.save({}, [what], 6)[0].id == 8
    assert store._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    store.close()


def test_a_file_that_cannot_be_taken_over_stays_what_it_was(saving, tmp_path):
    saving.path = tmp_path / "state"
    earlier_version(saving, tmp_path / "earlier", 2)
    file = sqlite3.connect(tmp_path / "earlier")
    file.execute("UPDATE entity SET body = '{}' WHERE kind = 'Job'")
    file.commit()
    before = list(file.iterdump())
    with pytest.raises(StoreError, match="earlier is not a readable state file: "):
        Store(tmp_path / "earlier")
    assert list(file.iterdump()) == before
    assert file.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_child_without_its_parent_is_an_error(saving, tmp_path):
    file = sqlite3.connect(tmp_path / "state")
    file.execute("DELETE FROM job_spec")
    file.commit()
    with pytest.raises(StoreError, match="is the child of an array that does not exist"):
        restored(tmp_path / "state")
