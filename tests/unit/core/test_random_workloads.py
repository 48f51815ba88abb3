"""Random workloads under random faults: whatever happens, every invariant holds after every event."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from batch_engine.core.capacity import HostLimits
from batch_engine.core.events import AttemptFinished, AttemptStarted, HostLost, TimerFired
from batch_engine.core.invariants import violations
from batch_engine.core.model import JobStatus

exit_codes = st.sampled_from([0, 0, 1, 65, 75, 137, None])


class Workload(RuleBasedStateMachine):
    """Submits, starts, ends, cancels, terminates and loses jobs in any order."""

    queues = Bundle("queues")

    @initialize(
        host=st.sampled_from([HostLimits(), HostLimits(2000, 1024), HostLimits(8000, 512)]),
    )
    def open_world(self, host):
        self.world = self.make_world(host=host)
        self.world.definition("small", vcpus=1)
        self.world.definition("large", vcpus=3, memory_mib=900, retryStrategy={"attempts": 3})
        self.environments = [self.world.environment("a", 2), self.world.environment("b", 4)]

    @rule(target=queues, priority=st.integers(0, 3), order=st.sampled_from([(0,), (1,), (0, 1), (1, 0)]))
    def add_queue(self, priority, order):
        if len(self.world.registry.job_queues) >= 4:
            return next(iter(self.world.registry.job_queues))
        name = f"q{len(self.world.registry.job_queues)}-{self.world.now_ms}"
        self.world.queue(name, *(self.environments[place] for place in order), priority=priority)
        return name

    @rule(queue=queues, definition=st.sampled_from(["small", "large"]), attempts=st.integers(1, 3))
    def submit(self, queue, definition, attempts):
        if self.takes_jobs(queue):
            self.world.submit(queue, definition, retryStrategy={"attempts": attempts})

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

    @rule(data=st.data())
    def lose_host(self, data):
        if job := self.pick(data, JobStatus.STARTING, JobStatus.RUNNING):
            self.world.tell(HostLost(job.id, job.attempt.number))

    @rule(data=st.data(), number=st.integers(1, 3))
    def fire_timer(self, data, number):
        if job := self.pick(data, *JobStatus):
            self.world.tell(TimerFired(job.id, number))

    @rule(data=st.data(), operation=st.sampled_from(["CancelJob", "TerminateJob"]))
    def end_early(self, data, operation):
        if job := self.pick(data, *JobStatus):
            self.world.call(operation, jobId=job.id, reason="r")

    @rule(queue=queues)
    def delete_queue(self, queue):
        if self.takes_jobs(queue):
            self.world.call("UpdateJobQueue", jobQueue=queue, state="DISABLED")
            self.world.call("DeleteJobQueue", jobQueue=queue)

    @rule(name=st.sampled_from("ab"), state=st.sampled_from(["ENABLED", "DISABLED"]))
    def switch_environment(self, name, state):
        self.world.call("UpdateComputeEnvironment", computeEnvironment=name, state=state)

    @invariant()
    def everything_holds(self):
        if hasattr(self, "world"):
            assert violations(self.world.scheduler) == []

    @invariant()
    def nobody_waits_without_need(self):
        """The head of every line waits for a reason."""
        if not hasattr(self, "world"):
            return
        for queue in self.world.registry.job_queues.values():
            head = self.world.scheduler.dispatcher.lines.head(queue.name)
            if head is not None and queue.status == "VALID":
                for name in queue.compute_environments:
                    environment = self.world.registry.compute_environments[name]
                    assert self.world.scheduler.dispatcher.capacity.refusal(head, environment) is not None


def test_random_workloads(make_world):
    Workload.make_world = staticmethod(make_world)
    run_state_machine_as_test(
        Workload, settings=settings(max_examples=150, stateful_step_count=40, deadline=None)
    )
