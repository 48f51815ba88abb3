"""Random lives: operators, machines and misfortune in virtual time, until every job is over."""

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batch_engine.core.capacity.autoscaler import ScalingSettings
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import (
    AttemptInterrupted,
    CapacityChanged,
    InstanceInterrupted,
    InstanceLost,
)
from tests.unit.core.audit.lives import (
    Faults,
    Life,
    assert_fates,
    assert_heads_are_fair,
    assert_limits_are_kept,
    assert_nobody_waits_without_need,
)
from tests.unit.core.audit.random_runs import MANY, random_settings, run_random

ENVIRONMENTS = ("od", "spot", "fargate", "managed")
QUEUES = ("first", "fair", "serverless")
SHARES = ("A", "B", "Ca", "Cb")
ON_EXIT = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onExitCode": "65", "action": "EXIT"},
    {"onReason": "CannotPull*", "action": "EXIT"},
]
LIMITS = [
    {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    for reason in ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
]
rates = st.sampled_from([0.0, 0.1, 0.5])
chaos = st.builds(
    Faults,
    never_starts=rates,
    exits_badly=rates,
    loses_host=rates,
    never_joins=rates,
    told_twice=rates,
    slow_s=st.sampled_from([5.0, 400.0]),
)

STORM = Faults(never_starts=0.02, exits_badly=0.1, loses_host=0.05, never_joins=0.1, told_twice=0.05)


def furnish(life, *, minimum=0, reservation=0):
    """Four compute environments, three queues on them, and definitions of every kind."""
    world, call = life.world, life.call
    wire = {"type": "EC2", "maxvCpus": 8, "minvCpus": minimum, "instanceRole": "r"}
    wire |= {"instanceTypes": ["m6g", "c6g"], "allocationStrategy": "BEST_FIT_PROGRESSIVE"}
    call("CreateComputeEnvironment", computeEnvironmentName="od", type="MANAGED", computeResources=wire)
    world.environment("spot", 4, "SPOT")
    world.environment("managed", 4, "ECS_MANAGED_INSTANCES")
    world.environment("fargate", 3, "FARGATE")
    weights = {"shareDistribution": [{"shareIdentifier": "C*", "weightFactor": 0.5}]}
    policy = call(
        "CreateSchedulingPolicy", name="p", fairsharePolicy={"computeReservation": reservation, **weights}
    )["arn"]
    life.pass_time(60)
    add_queue(life, "first", ["spot", "od"], priority=2, jobStateTimeLimitActions=LIMITS)
    add_queue(life, "fair", ["od", "spot"], schedulingPolicyArn=policy)
    add_queue(life, "serverless", ["fargate"])
    call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=3)
    world.definition("small")
    world.definition("large", vcpus=3, memory_mib=5000)
    world.definition(
        "fargate",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "i",
            "executionRoleArn": "arn:aws:iam::123456789012:role/r",
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
        },
    )
    container = {"image": "i", "command": ["c"]}
    container["resourceRequirements"] = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    call(
        "RegisterJobDefinition",
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": container}],
        },
    )


def add_queue(life, name, environments, priority=1, **more):
    order = [{"order": place, "computeEnvironment": item} for place, item in enumerate(environments)]
    life.call("CreateJobQueue", jobQueueName=name, priority=priority, computeEnvironmentOrder=order, **more)


def finish(life):
    """Everything is there again, and nothing goes wrong any more: whoever can run must."""
    life.faults = Faults(slow_s=20)
    life.tell(CapacityChanged(frozenset()))
    life.call("UpdateConsumableResource", consumableResource="seats", operation="SET", quantity=10)
    life.pass_time(60)
    for name in life.world.registry.compute_environments:
        life.call("UpdateComputeEnvironment", computeEnvironment=name, state="ENABLED")
    policy = next(iter(life.world.registry.scheduling_policies))
    life.call("UpdateSchedulingPolicy", arn=policy, fairsharePolicy={"computeReservation": 0})
    life.run_out()
    stuck = [(job.id, job.status, job.queue) for job in life.unfinished()]
    dispatcher = life.world.scheduler.dispatcher
    heads = [dispatcher.shares.head(queue) for queue in life.world.registry.job_queues.values()]
    assert stuck == [], (stuck, [(head.id, head.status_reason) for head in heads if head])
    assert life.world.audit.whole() == []
    assert_fates(life)


class Lives(RuleBasedStateMachine):
    """What operators do. The machines do the rest by themselves, in ``pass_time`` and at the end."""

    life = None

    @initialize(
        seed=st.integers(0, 2**32 - 1),
        faults=chaos,
        host=st.sampled_from([HostLimits(), HostLimits(4000, 4096), HostLimits(2000, 1024)]),
        later=st.booleans(),
        settle_s=st.sampled_from([0, 0, 30]),
        minimum=st.integers(0, 2),
        reservation=st.sampled_from([0, 50]),
    )
    def begin(self, seed, faults, host, later, settle_s, minimum, reservation):
        settings_ = ScalingSettings(launch_takes_time=later, idle_s=60, settle_s=settle_s)
        self.life = Life(self.make_world(host=host, scaling=settings_), seed, faults)
        furnish(self.life, minimum=minimum, reservation=reservation)

    def jobs(self, data, kept=lambda job: True):
        jobs = [job for job in self.life.world.registry.jobs.values() if kept(job)]
        return jobs[data.draw(st.integers(0, len(jobs) - 1))] if jobs else None

    def depends_on(self, data, size):
        """Up to two whole jobs, an array of the same size pairwise, the order of the own children."""
        count = data.draw(st.integers(0, 3))
        picked = [
            self.jobs(data, lambda job: job.node_index is None and not job.status.is_terminal)
            for _ in range(count)
        ]
        found = [{"jobId": job.id} for job in picked if job is not None]
        if size is not None:
            if data.draw(st.booleans()):
                found.append({"type": "SEQUENTIAL"})
            twin = self.jobs(data, lambda job: job.is_array and job.array_size == size)
            if twin is not None and data.draw(st.booleans()):
                found.append({"jobId": twin.id, "type": "N_TO_N"})
        return found

    @rule(
        data=st.data(),
        queue=st.sampled_from(QUEUES),
        kind=st.sampled_from(["small", "small", "large", "nodes"]),
        size=st.sampled_from([None, None, 2, 3, 7]),
        attempts=st.integers(1, 3),
        rules=st.booleans(),
        timeout_s=st.sampled_from([None, 60]),
        seats=st.sampled_from([0, 0, 1, 2]),
        waits=st.booleans(),
    )
    def submit(self, data, queue, kind, size, attempts, rules, timeout_s, seats, waits):
        request = {"retryStrategy": {"attempts": attempts}}
        if rules:
            request["retryStrategy"]["evaluateOnExit"] = ON_EXIT
        if timeout_s is not None:
            request["timeout"] = {"attemptDurationSeconds": timeout_s}
        if queue == "serverless":
            kind = "fargate"
        elif queue == "fair":
            request["shareIdentifier"] = data.draw(st.sampled_from(SHARES))
            request["schedulingPriorityOverride"] = data.draw(st.integers(0, 2))
        if kind == "nodes":
            size = None
        else:
            wanted = [{"consumableResource": "seats", "quantity": seats}]
            if seats:
                request["consumableResourcePropertiesOverride"] = {"consumableResourceList": wanted}
            if size is not None:
                request["arrayProperties"] = {"size": size}
        if waits:
            request["dependsOn"] = self.depends_on(data, size)
        self.attempt("SubmitJob", jobName="j", jobQueue=queue, jobDefinition=kind, **request)

    @rule(data=st.data(), queue=st.sampled_from(["first", "serverless"]), ordered=st.booleans())
    def submit_pairwise(self, data, queue, ordered):
        """An array behind another that is not over, child by child."""
        if twin := self.jobs(data, lambda job: job.is_array and not job.status.is_terminal):
            depends_on = [{"jobId": twin.id, "type": "N_TO_N"}]
            if ordered:
                depends_on.append({"type": "SEQUENTIAL"})
            self.attempt(
                "SubmitJob",
                jobName="pairwise",
                jobQueue=queue,
                jobDefinition="fargate" if queue == "serverless" else "small",
                arrayProperties={"size": twin.array_size},
                dependsOn=depends_on,
            )

    def attempt(self, operation, /, **request):
        """Operators ask for what they may not have just now, too."""
        try:
            return self.life.call(operation, **request)
        except ClientError:
            return None

    @rule(seconds=st.sampled_from([1, 15, 60, 300, 700, 4000]))
    def pass_time(self, seconds):
        self.life.pass_time(seconds)

    @rule(data=st.data(), operation=st.sampled_from(["CancelJob", "TerminateJob"]), child=st.booleans())
    def end_early(self, data, operation, child):
        if job := self.jobs(data, lambda job: job.node_index is None):
            job_id = job.id
            if job.is_array and child:
                job_id = f"{job.id}:{data.draw(st.integers(0, job.array_size - 1))}"
            self.life.call(operation, jobId=job_id, reason="r")

    @rule(data=st.data(), notice_s=st.sampled_from([None, 0, 5, 120]))
    def take_instance(self, data, notice_s):
        if instances := list(self.life.world.scheduler.dispatcher.scaling.instances):
            lost = data.draw(st.sampled_from(instances))
            self.life.tell(InstanceLost(lost) if notice_s is None else InstanceInterrupted(lost, notice_s))

    @rule(data=st.data())
    def interrupt_attempt(self, data):
        if job := self.jobs(data, lambda job: job.status.is_placed and not job.is_gang):
            self.life.tell(AttemptInterrupted(job.id, job.attempt.number, 10))

    @rule(types=st.sampled_from([(), ("m6g.medium",), ("m6g.medium", "c6g.medium"), ("c6g.xlarge",)]))
    def change_capacity(self, types):
        self.life.tell(CapacityChanged(frozenset(types)))

    @rule(name=st.sampled_from(ENVIRONMENTS), state=st.sampled_from(["ENABLED", "DISABLED"]))
    def switch_environment(self, name, state):
        self.attempt("UpdateComputeEnvironment", computeEnvironment=name, state=state)

    @rule(limit=st.sampled_from([4, 8, 12]), types=st.sampled_from([None, ["m6g"], ["c6g", "m6g"]]))
    def update_environment(self, limit, types):
        resources = {"maxvCpus": limit} | ({} if types is None else {"instanceTypes": types})
        policy = {"terminateJobsOnUpdate": limit == 4, "jobExecutionTimeoutMinutes": 5}
        self.attempt(
            "UpdateComputeEnvironment",
            computeEnvironment="od",
            computeResources=resources,
            **({} if types is None else {"updatePolicy": policy}),
        )

    @rule()
    def replace_unused_environment(self):
        """The one that no queue names can be deleted and made anew."""
        self.attempt("UpdateComputeEnvironment", computeEnvironment="managed", state="DISABLED")
        if self.attempt("DeleteComputeEnvironment", computeEnvironment="managed") is not None:
            self.life.pass_time(60)
            self.life.world.environment("managed", 4, "ECS_MANAGED_INSTANCES")
            self.life.settle()

    @rule(queue=st.sampled_from(QUEUES), state=st.sampled_from(["ENABLED", "DISABLED"]))
    def switch_queue(self, queue, state):
        self.attempt("UpdateJobQueue", jobQueue=queue, state=state)

    @rule(
        order=st.sampled_from([["od"], ["spot", "od"], ["od", "spot"]]), priority=st.sampled_from([0, 1, 5])
    )
    def update_queue(self, order, priority):
        wire = [{"order": place, "computeEnvironment": item} for place, item in enumerate(order)]
        self.attempt("UpdateJobQueue", jobQueue="first", priority=priority, computeEnvironmentOrder=wire)

    @rule()
    def delete_queue(self):
        self.attempt("UpdateJobQueue", jobQueue="first", state="DISABLED")
        self.attempt("DeleteJobQueue", jobQueue="first")

    @precondition(lambda self: self.life and "first" not in self.life.world.registry.job_queues)
    @rule()
    def add_queue_again(self):
        with contextlib.suppress(ClientError):  # an environment may be on its way just now
            add_queue(self.life, "first", ["od", "spot"], priority=3, jobStateTimeLimitActions=LIMITS)

    @rule(quantity=st.integers(0, 4))
    def change_seats(self, quantity):
        request = {"consumableResource": "seats", "operation": "SET", "quantity": quantity}
        self.attempt("UpdateConsumableResource", **request)

    @rule()
    def restart(self):
        self.life.restart()

    @invariant()
    def nobody_waits_without_need_or_too_long(self):
        if self.life:
            assert_nobody_waits_without_need(self.life.world)
            assert_heads_are_fair(self.life.world)
            assert_limits_are_kept(self.life.world)

    def teardown(self):
        if self.life:
            self.life.world.assert_replays()
            finish(self.life)


@pytest.mark.parametrize("count", [200, pytest.param(900, marks=MANY)])
def test_random_lives(make_world, count):
    Lives.make_world = staticmethod(make_world)
    run_random(Lives, count)


def live_through_arrays(make_world, seed, size, *, paired):
    """An array, and perhaps another one pairwise behind it, in a storm and under an operator's whims."""
    life = Life(make_world(scaling=ScalingSettings(launch_takes_time=True)), seed, STORM)
    furnish(life)
    life.call("UpdateComputeEnvironment", computeEnvironment="od", computeResources={"maxvCpus": 256})
    whim = random.Random(seed)
    request = {"jobName": "j", "jobDefinition": "small", "arrayProperties": {"size": size}}
    request["retryStrategy"] = {"attempts": 3, "evaluateOnExit": ON_EXIT}
    parents = [life.call("SubmitJob", jobQueue="first", **request)["jobId"]]
    if paired:
        request["dependsOn"] = [{"jobId": parents[0], "type": "N_TO_N"}]
        second = life.call("SubmitJob", jobQueue="fair", shareIdentifier="A", **request)
        parents.append(second["jobId"])
    for _ in range(4):
        life.pass_time(whim.uniform(10, 400))
        for parent in parents:
            operation = whim.choice(["CancelJob", "TerminateJob"])
            life.call(operation, jobId=f"{parent}:{whim.randrange(size)}", reason="r")
        if whim.random() < 0.3:
            life.restart()
    finish(life)


@pytest.mark.parametrize(
    ("size", "count", "paired"),
    [
        (300, 3, True),
        pytest.param(1000, 4, True, marks=MANY),
        # Hypothesis begins with the smallest seed: only the second one is new each time.
        pytest.param(10_000, 2, False, marks=MANY),
    ],
)
def test_random_lives_of_large_arrays(make_world, size, count, paired):
    @random_settings(count)
    @given(seed=st.integers(0, 2**32 - 1))
    def live(seed):
        live_through_arrays(make_world, seed, size, paired=paired)

    live()
