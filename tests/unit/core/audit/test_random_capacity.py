"""Random workloads on instances, shares and consumable resources under faults: every invariant holds."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.capacity.fleet import InstanceState
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.events import (
    AttemptFinished,
    AttemptInterrupted,
    AttemptStarted,
    CapacityChanged,
    InstanceInterrupted,
    InstanceLost,
    InstanceReady,
    Woken,
)
from batch_engine.core.model.jobs import JobStatus
from tests.unit.core.audit.random_runs import MANY, run_random

SHARES = ("A", "B", "Ca", "Cb")


class Workload(RuleBasedStateMachine):
    """``World`` checks every invariant after every step."""

    @initialize(
        host=st.sampled_from([HostLimits(), HostLimits(4000, 4096)]),
        later=st.booleans(),
        strategy=st.sampled_from(["BEST_FIT", "BEST_FIT_PROGRESSIVE"]),
        minimum=st.integers(0, 3),
        reservation=st.sampled_from([0, 50]),
    )
    def open_world(self, host, later, strategy, minimum, reservation):
        self.world = self.make_world(host=host, scaling=ScalingSettings(launch_takes_time=later, idle_s=60))
        call = self.world.call
        self.world.definition("small", retryStrategy={"attempts": 3})
        self.world.definition("large", vcpus=3, memory_mib=5000)
        call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=3)
        body = {
            "computeReservation": reservation,
            "shareDistribution": [{"shareIdentifier": "C*", "weightFactor": 0.5}],
        }
        policy = call("CreateSchedulingPolicy", name="p", fairsharePolicy=body)["arn"]
        wire = {
            "type": "EC2",
            "maxvCpus": 8,
            "minvCpus": minimum,
            "instanceTypes": ["m6g", "c6g"],
            "instanceRole": "r",
        }
        on_demand = call(
            "CreateComputeEnvironment",
            computeEnvironmentName="od",
            type="MANAGED",
            computeResources={**wire, "allocationStrategy": strategy},
        )["computeEnvironmentArn"]
        spot = self.world.environment("spot", 4, "SPOT")
        self.world.queue("plain", spot, on_demand, priority=2)
        order = [{"order": 1, "computeEnvironment": on_demand}, {"order": 2, "computeEnvironment": spot}]
        request = {"jobQueueName": "fair", "priority": 1, "schedulingPolicyArn": policy}
        call("CreateJobQueue", computeEnvironmentOrder=order, **request)

    @rule(
        share=st.sampled_from([None, *SHARES]),
        definition=st.sampled_from(["small", "large"]),
        seats=st.sampled_from([0, 0, 1, 2]),
    )
    def submit(self, share, definition, seats):
        request = {} if share is None else {"shareIdentifier": share}
        if seats:
            wanted = [{"consumableResource": "seats", "quantity": seats}]
            request["consumableResourcePropertiesOverride"] = {"consumableResourceList": wanted}
        self.world.submit("plain" if share is None else "fair", definition, **request)

    def pick(self, data, *statuses):
        jobs = [job for job in self.world.registry.jobs.values() if job.status in statuses]
        return data.draw(st.sampled_from(jobs)) if jobs else None

    def instance(self, data, *states):
        found = [
            item
            for item in self.world.scheduler.dispatcher.scaling.instances.values()
            if item.state in states
        ]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data())
    def start(self, data):
        if job := self.pick(data, JobStatus.STARTING):
            self.world.tell(AttemptStarted(job.id, job.attempt.number))

    @rule(data=st.data(), exit_code=st.sampled_from([0, 0, 1, 137, 143, None]))
    def finish(self, data, exit_code):
        if job := self.pick(data, JobStatus.STARTING, JobStatus.RUNNING):
            self.world.tell(AttemptFinished(job.id, job.attempt.number, exit_code))

    @rule(data=st.data())
    def join(self, data):
        if item := self.instance(data, InstanceState.LAUNCHING):
            self.world.tell(InstanceReady(item.id))

    @rule(data=st.data(), notice_s=st.sampled_from([0, 5, 120]))
    def interrupt(self, data, notice_s):
        if item := self.instance(data, *InstanceState):
            self.world.tell(InstanceInterrupted(item.id, notice_s))

    @rule(data=st.data())
    def interrupt_attempt(self, data):
        if job := self.pick(data, JobStatus.STARTING, JobStatus.RUNNING):
            self.world.tell(AttemptInterrupted(job.id, job.attempt.number, 10))

    @rule(data=st.data())
    def lose(self, data):
        if item := self.instance(data, *InstanceState):
            self.world.tell(InstanceLost(item.id))

    @rule(seconds=st.sampled_from([1, 30, 61, 700, 4000]))
    def wait(self, seconds):
        self.world.now_ms += seconds * 1000
        self.world.tell(Woken())

    @rule(types=st.sampled_from([(), ("m6g.medium",), ("m6g.medium", "c6g.medium"), ("c6g.xlarge",)]))
    def change_capacity(self, types):
        self.world.tell(CapacityChanged(frozenset(types)))

    @rule(data=st.data(), operation=st.sampled_from(["CancelJob", "TerminateJob"]))
    def end_early(self, data, operation):
        if job := self.pick(data, *JobStatus):
            self.world.call(operation, jobId=job.id, reason="r")

    @rule(name=st.sampled_from(["od", "spot"]), state=st.sampled_from(["ENABLED", "DISABLED"]))
    def switch(self, name, state):
        self.world.call("UpdateComputeEnvironment", computeEnvironment=name, state=state)

    @rule(types=st.sampled_from([["m6g"], ["c6g", "m6g"]]), terminate=st.booleans())
    def replace_infrastructure(self, types, terminate):
        best_fit = (
            self.world.registry.compute_environments["od"].resources["allocationStrategy"] == "BEST_FIT"
        )
        if best_fit:
            return
        self.world.call(
            "UpdateComputeEnvironment",
            computeEnvironment="od",
            computeResources={"instanceTypes": types},
            updatePolicy={"terminateJobsOnUpdate": terminate},
        )

    @rule(quantity=st.integers(0, 4))
    def change_seats(self, quantity):
        self.world.call("UpdateConsumableResource", consumableResource="seats", quantity=quantity)

    def teardown(self):
        """Whatever happened: with everything there again and time to spare, nobody waits for ever."""
        if not hasattr(self, "world"):
            return
        self.world.assert_replays()
        self.change_capacity(())
        self.change_seats(4)
        for name in ("od", "spot"):
            self.switch(name, "ENABLED")
        for _ in range(400):
            jobs = [job for job in self.world.registry.jobs.values() if not job.status.is_terminal]
            if not jobs:
                return
            for item in list(self.world.scheduler.dispatcher.scaling.instances.values()):
                self.world.tell(InstanceReady(item.id))
            for job in jobs:
                if job.status.is_placed:
                    self.world.tell(AttemptStarted(job.id, job.attempt.number))
                    self.world.tell(AttemptFinished(job.id, job.attempt.number, 0))
        raise AssertionError(f"still waiting: {[(job.id, job.status, job.status_reason) for job in jobs]}")


@pytest.mark.parametrize("count", [100, pytest.param(300, marks=MANY)])
def test_random_capacity(make_world, count):
    Workload.make_world = staticmethod(make_world)
    run_random(Workload, count)
