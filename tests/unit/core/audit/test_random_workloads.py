"""Random workloads under random faults: whatever happens, every invariant holds after every event."""

from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptStarted,
    HostLost,
    ResourcesChanged,
    Woken,
)
from batch_engine.core.model.jobs import JobStatus
from batch_engine.local.store.store import Store
from tests.unit.core.audit.lives import assert_heads_are_fair, assert_nobody_waits_without_need, assert_same
from tests.unit.core.audit.random_runs import MANY, run_random

KEEP_ENDED_MS = 20_000
exit_codes = st.sampled_from([0, 0, 1, 65, 75, 137, None])


NODES = {
    "jobDefinitionName": "nodes",
    "type": "multinode",
    "nodeProperties": {
        "numNodes": 2,
        "mainNode": 0,
        "nodeRangeProperties": [
            {
                "targetNodes": "0:",
                "container": {
                    "image": "i",
                    "command": ["c"],
                    "resourceRequirements": [
                        {"type": "VCPU", "value": "1"},
                        {"type": "MEMORY", "value": "128"},
                    ],
                },
            }
        ],
    },
}


class Workload(RuleBasedStateMachine):
    """Submits, starts, ends, cancels, terminates and loses jobs in any order; ``World`` checks the rest."""

    queues = Bundle("queues")

    @initialize(
        host=st.sampled_from([HostLimits(), HostLimits(2000, 1024), HostLimits(8000, 512)]),
    )
    def open_world(self, host):
        self.world = self.make_world(host=host, keep_ended_ms=KEEP_ENDED_MS)
        self.store = Store(Path(":memory:"))
        self.world.definition("small", vcpus=1)
        self.world.definition("large", vcpus=3, memory_mib=900, retryStrategy={"attempts": 3})
        self.world.call("RegisterJobDefinition", **NODES)
        self.environments = [self.world.environment("a", 2), self.world.environment("b", 4)]

    @rule(target=queues, priority=st.integers(0, 3), order=st.sampled_from([(0,), (1,), (0, 1), (1, 0)]))
    def add_queue(self, priority, order):
        if len(self.world.registry.job_queues) >= 4:
            return next(iter(self.world.registry.job_queues))
        name = f"q{len(self.world.registry.job_queues)}-{self.world.now_ms}"
        self.world.queue(name, *(self.environments[place] for place in order), priority=priority)
        return name

    @rule(
        queue=queues,
        definition=st.sampled_from(["small", "large"]),
        attempts=st.integers(1, 3),
        timeout=st.sampled_from([{}, {"timeout": {"attemptDurationSeconds": 60}}]),
    )
    def submit(self, queue, definition, attempts, timeout):
        if self.takes_jobs(queue):
            self.world.submit(queue, definition, retryStrategy={"attempts": attempts}, **timeout)

    def dependencies(self, data, size):
        """Up to two whole jobs, an array of the same size pairwise, the order of the own children."""
        jobs = [job for job in self.world.registry.jobs.values() if job.parent_id is None]
        picked = data.draw(st.lists(st.sampled_from(jobs), max_size=2)) if jobs else []
        depends_on = [{"jobId": job.id} for job in picked]
        if size is not None:
            if data.draw(st.booleans()):
                depends_on.append({"type": "SEQUENTIAL"})
            twins = [job for job in jobs if job.is_array and job.array_size == size]
            if twins and data.draw(st.booleans()):
                depends_on.append({"jobId": data.draw(st.sampled_from(twins)).id, "type": "N_TO_N"})
        return depends_on

    @rule(queue=queues, data=st.data(), size=st.sampled_from([None, 2, 3, 5]), attempts=st.integers(1, 2))
    def submit_dependent(self, queue, data, size, attempts):
        if self.takes_jobs(queue):
            request = {} if size is None else {"arrayProperties": {"size": size}}
            self.world.submit(
                queue,
                "small",
                dependsOn=self.dependencies(data, size),
                retryStrategy={"attempts": attempts},
                **request,
            )

    @rule(queue=queues, data=st.data(), count=st.sampled_from([None, 1, 3]), attempts=st.integers(1, 2))
    def submit_nodes(self, queue, data, count, attempts):
        if self.takes_jobs(queue):
            self.world.submit(
                queue,
                "nodes",
                dependsOn=self.dependencies(data, None),
                retryStrategy={"attempts": attempts},
                nodeOverrides={} if count is None else {"numNodes": count},
            )

    @rule(data=st.data(), operation=st.sampled_from(["CancelJob", "TerminateJob"]))
    def end_a_child_early(self, data, operation):
        parents = [job for job in self.world.registry.jobs.values() if job.is_array]
        if parents:
            parent = data.draw(st.sampled_from(parents))
            index = data.draw(st.integers(0, parent.array_size - 1))
            self.world.call(operation, jobId=f"{parent.id}:{index}", reason="r")

    def takes_jobs(self, name):
        queue = self.world.registry.job_queues.get(name)
        return queue is not None and queue.status == "VALID"

    def pick(self, data, *statuses):
        jobs = [job for job in self.world.registry.jobs.values() if job.status in statuses]
        return data.draw(st.sampled_from(jobs)) if jobs else None

    @rule(data=st.data())
    def start(self, data):
        if job := self.pick(data, JobStatus.STARTING):
            self.world.tell(AttemptStarted(job.id, job.attempt.number))

    @rule(data=st.data(), exit_code=exit_codes)
    def finish(self, data, exit_code):
        if job := self.pick(data, JobStatus.STARTING, JobStatus.RUNNING):
            self.world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))

    @rule()
    def succeed_all_round(self):
        """Everything that is placed runs and ends well: dependents and later children get their turn."""
        placed = [job for job in self.world.registry.jobs.values() if job.status.is_placed]
        for job in placed:
            number = job.attempt.number
            self.world.tell(AttemptStarted(job.id, number))
            self.world.tell(AttemptFinished(job.id, number, 0))

    @rule(data=st.data())
    def lose_host(self, data):
        if job := self.pick(data, JobStatus.STARTING, JobStatus.RUNNING):
            self.world.tell(HostLost(job.id, job.attempt.number))

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds):
        self.world.now_ms += seconds * 1000
        self.world.tell(Woken())

    @rule(data=st.data(), operation=st.sampled_from(["CancelJob", "TerminateJob"]))
    def end_early(self, data, operation):
        job = self.pick(data, *JobStatus)
        if job is not None and job.node_index is None:
            self.world.call(operation, jobId=job.id, reason="r")

    @rule()
    def forget_what_has_ended(self):
        self.world.now_ms += 2 * KEEP_ENDED_MS
        self.world.tell(Woken())

    @rule(queue=queues)
    def delete_queue(self, queue):
        if self.takes_jobs(queue):
            self.world.call("UpdateJobQueue", jobQueue=queue, state="DISABLED")
            self.world.call("DeleteJobQueue", jobQueue=queue)

    @rule(name=st.sampled_from("ab"), state=st.sampled_from(["ENABLED", "DISABLED"]))
    def switch_environment(self, name, state):
        self.world.call("UpdateComputeEnvironment", computeEnvironment=name, state=state)

    @invariant()
    def what_changed_is_saved(self):
        if hasattr(self, "world"):
            self.store.save(self.world.registry.changed, [], self.world.now_ms)
            self.world.registry.changed.clear()

    @rule()
    def restart(self):
        """Everything is read back from the store, and what ran is lost with its host."""
        self.what_changed_is_saved()
        before = self.world.registry
        self.world.restart(self.store.load())
        after = self.world.registry
        assert_same(before, after)
        for job in [job for job in after.jobs.values() if job.status.is_placed]:
            self.world.tell(HostLost(job.id, job.attempt.number))
        self.world.tell(ResourcesChanged())

    def teardown(self):
        if hasattr(self, "world"):
            self.world.assert_replays()

    @invariant()
    def nobody_waits_without_need(self):
        if hasattr(self, "world"):
            assert_nobody_waits_without_need(self.world)
            assert_heads_are_fair(self.world)


@pytest.mark.parametrize("count", [150, pytest.param(800, marks=MANY)])
def test_random_workloads(make_world, count):
    Workload.make_world = staticmethod(make_world)
    run_random(Workload, count)
