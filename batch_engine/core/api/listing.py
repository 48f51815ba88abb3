"""ListJobs: summaries of a queue's jobs, or of an array's children, or of a job's nodes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from batch_engine.core.api import wire
from batch_engine.core.api.context import CallContext, Operation
from batch_engine.core.api.paging import Key, read_token, write_token
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.jobs import Job, JobStatus
from batch_engine.core.model.wire import Wire
from batch_engine.core.state import arrays
from batch_engine.core.state.decisions import nodes_of

MAX_LISTED = 1000
MAX_FILTERED = 100
FILTERS = ("JOB_NAME", "JOB_DEFINITION", "BEFORE_CREATED_AT", "AFTER_CREATED_AT", "SHARE_IDENTIFIER")
# A token is valid for one order only.
OLDEST_FIRST, NEWEST_FIRST, BY_NAME = "jobs oldest first", "jobs newest first", "jobs by name"
TIMES = ("BEFORE_CREATED_AT", "AFTER_CREATED_AT")

Matches = Callable[[Job], bool]


def list_jobs(context: CallContext, request: Wire) -> Wire:
    """ListJobs: returns jobs in one status, by default RUNNING; with a filter, in any status.

    Without a filter the oldest jobs come first (AWS does not document this order), with a filter the newest.
    """
    given = [member for member in ("jobQueue", "arrayJobId", "multiNodeJobId") if request.get(member)]
    if len(given) != 1:
        raise ClientError(
            f"Exactly one of jobQueue, arrayJobId, multiNodeJobId must be given, got {len(given)}"
        )
    status = _status(request.get("jobStatus"))
    if given != ["jobQueue"]:
        return _children(context, request, given[0], status or JobStatus.RUNNING)
    queue = context.find_queue(request["jobQueue"])
    if queue is None:
        raise ClientError(f"JobQueue {request['jobQueue']} not found.")
    wanted = check_filters(request.get("filters"), FILTERS)
    if wanted is None:
        after = _place(request, OLDEST_FIRST) or 0
        found = context.registry.index.oldest_first(queue.name, status or JobStatus.RUNNING, after)
        return _page(context, request, found, OLDEST_FIRST, lambda job: [job.serial])
    name, values = wanted
    statuses = [status] if status is not None and name == "SHARE_IDENTIFIER" else list(JobStatus)
    matches = _matcher(name, values)
    if name == "JOB_NAME":
        return _by_name(context, request, queue.name, matches)
    jobs = _newest_first(context, queue.name, statuses, _place(request, NEWEST_FIRST))
    return _page(context, request, filter(matches, jobs), NEWEST_FIRST, lambda job: [job.serial])


def _status(text: str | None) -> JobStatus | None:
    if text is not None and text not in JobStatus.__members__:
        raise ClientError(f"jobStatus must be one of {', '.join(JobStatus)}, got {text}")
    return None if text is None else JobStatus(text)


def check_filters(filters: list[Wire] | None, known: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """Returns the name and the values of the filter of a request, or None if there is none.

    Raises:
        ClientError: more than one filter, an unknown name (case matters), no value, or an invalid time.
    """
    if not filters:
        return None
    if len(filters) > 1:
        raise ClientError(f"Only one filter can be used at a time, got {len(filters)}")
    name, values = filters[0].get("name"), filters[0].get("values") or []
    if name not in known:
        raise ClientError(f"Filter name must be one of {', '.join(known)}, got {name}")
    if not values:
        raise ClientError(f"Filter {name} must have a value")
    if name in TIMES:
        for value in values:
            if not (value.isascii() and value.isdigit() and len(value) <= 18):
                raise ClientError(f"Filter {name} must be a time in epoch milliseconds, got {value[:64]}")
    return name, values


def _matcher(name: str, values: list[str]) -> Matches:
    match name:
        case "JOB_NAME":
            return lambda job: any(_like(job.name.lower(), value.lower()) for value in values)
        case "JOB_DEFINITION":
            return lambda job: any(_of_definition(job.definition_arn, value) for value in values)
        case "SHARE_IDENTIFIER":
            return lambda job: any(_like(job.share_identifier or "", value) for value in values)
        case "BEFORE_CREATED_AT":
            latest = min(map(int, values))
            return lambda job: job.created_at_ms < latest
        case _:
            earliest = max(map(int, values))
            return lambda job: job.created_at_ms > earliest


def _like(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _of_definition(arn: str, wanted: str) -> bool:
    """Returns whether a definition's ARN is the one that is wanted; without a revision, all of them match."""
    unversioned = arn.rpartition(":")[0]
    if wanted.startswith("arn:"):
        return wanted in (arn, unversioned)
    name_and_revision = arn.rpartition("/")[2]
    return name_and_revision == wanted or _like(unversioned.rpartition("/")[2], wanted)


def _newest_first(
    context: CallContext, queue: str, statuses: list[JobStatus], before: int | None
) -> Iterator[Job]:
    index = context.registry.index
    return heapq.merge(
        *(index.newest_first(queue, status, before) for status in statuses), key=lambda job: -job.serial
    )


def _by_name(context: CallContext, request: Wire, queue: str, matches: Matches) -> Wire:
    """Returns a page of jobs by name; among jobs with the same name the newest comes first."""
    token = read_token(request, BY_NAME, str, int)
    start = None if token is None else tuple(token)
    found = filter(matches, _newest_first(context, queue, list(JobStatus), None))
    keyed = sorted((job.name, -job.serial, job) for job in found)
    left = (job for name, serial, job in keyed if start is None or (name, serial) > start)
    return _page(context, request, left, BY_NAME, lambda job: [job.name, -job.serial])


def _children(context: CallContext, request: Wire, member: str, status: JobStatus) -> Wire:
    """Returns a page of children or nodes by index."""
    registry = context.registry
    parent = registry.jobs.get(context.arns.name_of(request[member], "job"))
    token = _place(request, member)
    after = -1 if token is None else max(token, -1)
    if member == "arrayJobId":
        if parent is None or not parent.is_array:
            raise ClientError(f"{request[member]} is not the id of a known array job")
        children = arrays.children_in(registry, parent, status, after)
        return _page(context, request, children, member, lambda job: [job.array_index or 0])
    if parent is None or not parent.is_gang:
        raise ClientError(f"{request[member]} is not the id of a known multi-node parallel job")
    found = (node for node in nodes_of(registry, parent) if node.status is status)
    nodes = (node for node in found if (node.node_index or 0) > after)
    return _page(context, request, nodes, member, lambda job: [job.node_index or 0])


def _page(
    context: CallContext, request: Wire, found: Iterable[Job], listing: str, key: Callable[[Job], Key]
) -> Wire:
    largest = MAX_FILTERED if listing in (NEWEST_FIRST, BY_NAME) else MAX_LISTED
    size = min(request.get("maxResults", largest), largest)
    if size < 1:
        raise ClientError(f"maxResults must be at least 1, got {size}")
    jobs = list(islice(found, size + 1))
    result: Wire = {"jobSummaryList": [_summary(context, job) for job in jobs[:size]]}
    if len(jobs) > size:
        result["nextToken"] = write_token(listing, key(jobs[size - 1]))
    return result


def _summary(context: CallContext, job: Job) -> Wire:
    usage = {"capacityUnit": "VCPU", "quantity": job.milli_vcpus / 1000}
    return {**wire.job_summary(job, context.registry), "capacityUsage": [usage]}


def _place(request: Wire, listing: str) -> int | None:
    """Returns the serial or index behind which a page starts; None for the first page."""
    token = read_token(request, listing, int)
    return None if token is None else int(token[0])


OPERATIONS: dict[str, Operation] = {"ListJobs": list_jobs}
