"""The placement of waiting jobs.

https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html
"""

from collections.abc import Iterator

from batch_engine.core.capacity.autoscaler import Offer, Restrictions, Scaling, ScalingSettings, has_fleet
from batch_engine.core.capacity.consumable_locks import Consumables
from batch_engine.core.capacity.fleet import Instance, InstanceState, need_of
from batch_engine.core.capacity.usage import Capacity, HostLimits
from batch_engine.core.capacity.wait_reasons import Refusal, behind, most_actionable
from batch_engine.core.model.actions import StartAttempt
from batch_engine.core.model.ids import Arns, IdFactory
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.model.jobs import Attempt, Job, JobStatus, WaitReason
from batch_engine.core.model.resources import ComputeEnvironment, JobQueue, Platform
from batch_engine.core.scheduling import multinode
from batch_engine.core.scheduling.awaited_instances import Launching
from batch_engine.core.scheduling.queue_heads import Blocked
from batch_engine.core.scheduling.ready_queues import WaitingLines
from batch_engine.core.scheduling.share_order import Shares
from batch_engine.core.state.decisions import Journal, nodes_of
from batch_engine.core.state.wakeups import Wakeups

_CLUSTER = "cluster/"


class Dispatcher:
    """Places the RUNNABLE jobs of all queues.

    Args:
        journal: takes the decisions.
        wakeups: holds the times of idle instances and time limits.
        arns: makes ARNs.
        ids: makes the ids of instances and tasks.
        host: the limits of the machine underneath.
        catalogue: the known instance types.
        settings: the settings of launching and terminating instances.
        restrictions: the things that AWS Batch cannot have or use at present.
    """

    def __init__(
        self,
        journal: Journal,
        wakeups: Wakeups,
        arns: Arns,
        ids: IdFactory,
        *,
        host: HostLimits,
        catalogue: Catalogue,
        settings: ScalingSettings,
        restrictions: Restrictions,
    ) -> None:
        self.lines = WaitingLines(journal)
        self.scaling = Scaling(
            journal, arns, ids, catalogue, wakeups, settings=settings, restrictions=restrictions
        )
        self.capacity = Capacity(host, self.scaling)
        self.shares = Shares(journal, self.lines)
        self._blocked = Blocked(journal, wakeups)
        self._consumables = Consumables(journal.registry)
        self._journal = journal
        self._registry = journal.registry
        self._arns = arns
        self._ids = ids
        self._by_priority: list[JobQueue] | None = None
        self._launching = Launching(journal.registry, self.scaling)
        # A refused head of a queue need not be tried again until something makes room.
        self._refused: dict[str, Job] = {}
        # Without a new job in a line, only queues whose order changes with time have something to try.
        self._has_joined = False
        self._tries_again = True
        self._addresses = 0

    def enqueue(self, job: Job) -> None:
        """Adds a job that has just become RUNNABLE to the line of its queue."""
        self._has_joined = True
        self.lines.join(job)
        if job.share_identifier is not None:
            self.shares.joined(job)

    def take_over(self, job: Job) -> None:
        """Counts a placed job that was read back from the store."""
        attempt = job.attempt
        self.capacity.take(job, attempt.compute_environment)
        self.shares.placed(job)
        environment = self._registry.compute_environments.get(attempt.compute_environment)
        if environment is not None and has_fleet(environment):
            self.scaling.adopt(
                attempt.instance_id,
                attempt.container_instance_arn or "",
                environment.name,
                job.id,
                need_of(job),
                alone=job.node_index is not None,
            )

    def continue_from(self, other: "Dispatcher") -> None:
        """Takes over the instances of a dispatcher whose counts are wrong after a fault; the jobs follow."""
        self.scaling.continue_from(other.scaling)
        self._addresses = other._addresses

    def resume(self) -> None:
        """Counts consumable resources again after a fault, and checks every instance."""
        self._consumables.count_again()
        self.scaling.watch_all()

    def release(self, job: Job) -> None:
        """Frees the capacity of a job's latest attempt."""
        attempt = job.attempts[-1]
        self.capacity.release(job, attempt.compute_environment, attempt.instance_id)
        if job.share_identifier is not None:
            self.shares.released(job)

    def resources_changed(self) -> list[Instance]:
        """Adapts to queues and compute environments that were created, changed or deleted.

        Returns:
            The instances with jobs that an infrastructure update replaces.
        """
        self._by_priority = None
        self.shares.policies_changed()
        replaced: list[Instance] = []

        def replace(instance: Instance) -> None:
            if self.instance_gone(instance.id):
                replaced.append(instance)

        self.scaling.resources_changed(replace)
        return replaced

    def drop_queue(self, name: str) -> None:
        """Forgets a deleted queue."""
        self.lines.drop(name)
        self.shares.drop(name)
        self._launching.drop(name)
        self._refused.pop(name, None)
        self._by_priority = None

    def overdue(self, queue_name: str) -> tuple[Job, str] | None:
        """Returns the head of a queue if its time limit is over, and the reason for its cancellation."""
        queue = self._registry.job_queues.get(queue_name)
        head = self.shares.head(queue) if queue is not None else None
        if queue is None or head is None:
            return None
        reason = self._blocked.overdue(queue, head)
        return None if reason is None else (head, reason)

    def instance_ready(self, instance_id: str) -> None:
        """Puts the jobs of an instance that is ready back in their lines."""
        self._rejoin(self._launching.ready(instance_id))

    def instance_gone(self, instance_id: str) -> list[Job]:
        """Drains an instance.

        Returns:
            The jobs on it.
        """
        instance = self.scaling.instances.get(instance_id)
        if instance is None:
            return []
        jobs = list(instance.jobs)
        if instance.state is InstanceState.LAUNCHING:
            self._rejoin(self._launching.gone(instance_id))
            jobs = []
        self.scaling.drain(instance)
        return [self._registry.jobs[job_id] for job_id in jobs]

    def _rejoin(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.enqueue(job)

    def held(self, queue: str) -> list[Job]:
        """Returns the RUNNABLE jobs of a queue whose instances are being launched."""
        return self._launching.of_queue(queue)

    def in_order(self, queue: str) -> Iterator[Job]:
        """Yields the RUNNABLE jobs of a queue in the order in which they would be placed; for display."""
        yield from self.held(queue)
        yield from self.shares.in_order(queue)

    def known(self, job: Job) -> None:
        """Counts a job that is new, or was read back from the store."""
        self.shares.known(job)

    def ended(self, job: Job) -> None:
        """Frees the locks of a job that has ended."""
        if job.share_identifier is not None:
            self.shares.ended(job)
        if job.holds_consumables:
            self._consumables.free(job)

    def run_cycle(self, *, makes_room: bool = True) -> None:
        """Places the jobs that fit now, queue by queue, by falling priority.

        Args:
            makes_room: whether a job that was refused before may now be placed.
        """
        refused = self._refused
        if makes_room:
            refused.clear()
        elif not (self._has_joined or self._tries_again or self.scaling.restrictions.unavailable_types):
            return
        self._has_joined = False
        if self._by_priority is None:
            queues = [queue for queue in self._registry.job_queues.values() if queue.is_usable]
            self._by_priority = sorted(queues, key=lambda queue: (-queue.priority, queue.created_order))
            self._tries_again = any(queue.scheduling_policy_arn is not None for queue in queues)
        for queue in self._by_priority:
            while (job := self.shares.head(queue)) is not None and refused.get(queue.name) is not job:
                self._journal.at_hand = job
                refusal = self._place(job, queue)
                self._journal.at_hand = None
                if refusal is not None:
                    self._blocked.waits(job, queue, refusal)
                    if self._stays_refused(job):
                        refused[queue.name] = job
                    break
                refused.clear()  # the other jobs may have another reason to wait now

    def _stays_refused(self, job: Job) -> bool:
        """Returns whether a refused job is refused again until something makes room.

        More active shares reduce the reservation. While EC2 lacks some instance types, more demand can change
        the choice to a larger type that EC2 has.
        """
        return job.share_identifier is None and not self.scaling.restrictions.unavailable_types

    def _place(self, job: Job, queue: JobQueue) -> Refusal | None:
        """Places a job on the first compute environment, in the queue's order, that takes it."""
        if job.consumables and (refusal := self._consumables.refusal(job)) is not None:
            return refusal
        if job.num_nodes is not None:
            return self._place_job_of_nodes(job, queue)
        refusals: list[Refusal] = []
        for name in queue.compute_environments:
            environment = self._registry.compute_environments[name]
            offer: Offer | Refusal | None = None
            if job.share_identifier is not None:
                offer = self.shares.reservation(job, queue, environment, self.capacity)
            offer = offer or self.capacity.offer(job, environment)
            if isinstance(offer, Offer):
                return self._accept(job, queue, environment, offer)
            refusals.append(offer)
        return most_actionable(refusals)

    def _accept(
        self, job: Job, queue: JobQueue, environment: ComputeEnvironment, offer: Offer
    ) -> Refusal | None:
        launching = self._launching.first(queue.name)
        instance = offer.instance if offer.launch is None else self.scaling.accept(offer, environment)
        if instance is not None and instance.state is InstanceState.LAUNCHING:
            self._launching.hold(job, instance)
            self._leave(job)
            return None
        if launching is not None and launching.order < job.order and job.share_identifier is None:
            return behind(launching.id)
        self._start(job, environment, instance)
        return None

    def _leave(self, job: Job) -> None:
        self.lines.leave(job)
        self.shares.changed(job)

    def _start(self, job: Job, environment: ComputeEnvironment, instance: Instance | None) -> None:
        self._occupy(job, environment, instance)
        self._journal.move(job, JobStatus.STARTING)
        self._journal.act(StartAttempt(job.id, len(job.attempts)))

    def _occupy(
        self, job: Job, environment: ComputeEnvironment, instance: Instance | None, *, alone: bool = False
    ) -> None:
        """Reserves the capacity of a job, and adds an attempt."""
        self.capacity.take(job, environment.name)
        if instance is not None:
            self.scaling.put(instance, job.id, instance.total if alone else need_of(job))
        if job.share_identifier is not None:
            self.shares.placed(job)
        if job.consumables:
            self._consumables.lock(job)
        job.attempts.append(self._new_attempt(job, environment, instance))

    def _place_job_of_nodes(self, job: Job, queue: JobQueue) -> Refusal | None:
        nodes = nodes_of(self._registry, job)
        refusal = self.place_gang(job, nodes, queue)
        if refusal is None and job.wait_reason is not WaitReason.INSTANCE_LAUNCHING:
            multinode.placed(self._journal, job, nodes, self._addresses)
            self._addresses += len(nodes)
        return refusal

    def place_gang(self, job: Job, nodes: list[Job], queue: JobQueue) -> Refusal | None:
        """Places all nodes of a job, each on an instance of its own in one compute environment, or none.

        The nodes get their attempts and hold their room. The caller moves and starts them, main node first.
        ``release`` frees each node. If instances must be launched first, the job leaves its line until all of
        them are ready.

        Args:
            job: the job, which is at the head of its line.
            nodes: its nodes, which are RUNNABLE and in no line.
            queue: the queue of the job.

        Returns:
            The reason why the nodes could not be placed, or None if they were.
        """
        refusals: list[Refusal] = []
        for name in queue.compute_environments:
            environment = self._registry.compute_environments[name]
            kept = self.shares.reservation(nodes[0], queue, environment, self.capacity, len(nodes))
            offers = kept or self.capacity.offer_gang(nodes, environment)
            if isinstance(offers, Refusal):
                refusals.append(offers)
                continue
            own = [offer.instance for offer in offers if offer.instance is not None]
            instances = [self.scaling.accept(offer, environment, keep=own) for offer in offers]
            alone = [instance for instance in instances if instance is not None]
            if any(instance.state is InstanceState.LAUNCHING for instance in alone):
                self._launching.hold_gang(job, nodes, alone)
                self._leave(job)
                return None
            for node, instance in zip(nodes, alone, strict=True):
                self._occupy(node, environment, instance, alone=True)
            return None
        return most_actionable(refusals)

    def _new_attempt(self, job: Job, environment: ComputeEnvironment, instance: Instance | None) -> Attempt:
        if instance is not None:
            instance_id, instance_arn = instance.id, instance.arn
        elif environment.platform is Platform.EC2:
            # The customer's instances, or those of ECS: they are not counted here, but the job runs on one.
            instance_id = f"i-{self._ids.hex(17)}"
            cluster = environment.ecs_cluster_arn.partition(_CLUSTER)[2]
            instance_arn = self._arns.ecs(f"container-instance/{cluster}/{self._ids.hex(32)}")
        else:
            instance_id, instance_arn = "", None
        number, cluster_arn = len(job.attempts) + 1, environment.ecs_cluster_arn
        return Attempt(number, environment.name, instance_id, instance_arn, cluster_arn)
