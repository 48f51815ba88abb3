"""Multi-node parallel jobs: all nodes are placed together, and the main node decides.

https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
"""

import math
from collections.abc import Callable
from dataclasses import replace

from batch_engine.core.model.actions import StartAttempt, StopAttempt, stop_grace_s
from batch_engine.core.model.jobs import Job, JobStatus, StopCause
from batch_engine.core.state.decisions import Journal, nodes_of

MAIN_ENDED_REASON = "Main node of the job has ended"
_HOSTS, _NETS = 254, 256


def address(number: int) -> str:
    """Returns the ``number``-th loopback address, from 127.1.0.1 on. Linux accepts all of 127.0.0.0/8."""
    net, host = divmod(number, _HOSTS)
    second, third = divmod(net, _NETS)
    return f"127.{1 + second % 254}.{third}.{1 + host}"


class Nodes:
    """Moves the nodes of multi-node parallel jobs, and reports when the job itself is over.

    Args:
        journal: takes the decisions.
        release: frees the capacity of a node.
    """

    def __init__(self, journal: Journal, release: Callable[[Job], None]) -> None:
        self._journal = journal
        self._registry = journal.registry
        self._release = release

    def _main(self, parent: Job) -> Job:
        return self._registry.jobs[f"{parent.id}#{parent.main_node}"]

    def parent_of(self, node: Job) -> Job:
        """Returns the job that a node belongs to."""
        return self._registry.jobs[node.parent_id or ""]

    def started(self, node: Job) -> bool:
        """Notes that a node runs. With the main node, the job is RUNNING and the other nodes start.

        Returns:
            Whether it was the main node.
        """
        parent = self.parent_of(node)
        if node.node_index != parent.main_node:
            return False
        parent.attempt.started_at_ms = node.attempt.started_at_ms
        self._journal.move(parent, JobStatus.RUNNING)
        for other in nodes_of(self._registry, parent):
            if other is not node and other.status is JobStatus.STARTING:
                self._journal.act(StartAttempt(other.id, other.attempt.number))
        return True

    def stop(self, parent: Job, cause: StopCause, notice_s: float = math.inf) -> None:
        """Stops every node; a node that was not started ends at once."""
        self._close_unstarted(parent)
        for node in nodes_of(self._registry, parent):
            if node.status.is_placed:
                grace_s = stop_grace_s(node, notice_s)
                self._journal.act(StopAttempt(node.id, node.attempt.number, cause, grace_s))

    def _close_unstarted(self, parent: Job) -> None:
        """Ends the nodes that have no container, because the main node does not run yet."""
        main = self._main(parent)
        if main.attempt.started_at_ms is not None:
            return
        for node in nodes_of(self._registry, parent):
            if node is not main and node.status.is_placed:
                node.attempt.stopped_at_ms = self._journal.now_ms
                node.attempt.status_reason = MAIN_ENDED_REASON
                self._release(node)
                self._journal.move(node, JobStatus.FAILED, MAIN_ENDED_REASON)

    def finished(self, node: Job) -> Job | None:
        """Ends a node whose attempt has ended. Only the main node ends the others, too.

        Returns:
            The job, if its attempt ended with this node; else None.
        """
        parent, attempt = self.parent_of(node), node.attempt
        succeeded = attempt.exit_code == 0 and node.status is JobStatus.RUNNING
        status = JobStatus.SUCCEEDED if succeeded else JobStatus.FAILED
        self._journal.move(node, status, attempt.status_reason)
        main = self._main(parent)
        if node is main:
            mine = parent.attempt
            mine.exit_code, mine.reason = attempt.exit_code, attempt.reason
            mine.status_reason = attempt.status_reason
            self._registry.touch(parent)
            self.stop(parent, StopCause.MAIN_ENDED)
        if any(other.status.is_placed for other in nodes_of(self._registry, parent)):
            return None
        parent.attempt.stopped_at_ms = main.attempt.stopped_at_ms
        return parent


def placed(journal: Journal, parent: Job, nodes: list[Job], first_address: int) -> None:
    """Gives each placed node an address, and starts the main node.

    Args:
        journal: takes the decisions.
        parent: the job.
        nodes: its nodes, with a new attempt each.
        first_address: the number of the first address; one address for each node is free from there on.
    """
    main = nodes[parent.main_node or 0]
    for place, node in enumerate(nodes):
        node.attempt.private_ipv4 = address(first_address + place)
    for node in nodes:
        node.attempt.main_private_ipv4 = main.attempt.private_ipv4
        journal.move(node, JobStatus.STARTING)
    parent.attempts.append(replace(main.attempt, number=len(parent.attempts) + 1))
    journal.move(parent, JobStatus.STARTING)
    journal.act(StartAttempt(main.id, main.attempt.number))
