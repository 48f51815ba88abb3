"""Jobs as rows of the state file: the request is written once, the state at each move.

The child of an array has no request of its own: it uses its parent's.
"""

from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter
from pydantic_core import from_json

from batch_engine.core.model.jobs import JOB_STATE, Job
from batch_engine.core.model.resources import Platform
from batch_engine.core.state.arrays import child_of

Row = tuple[int, str | None, str]

_STATE = set(JOB_STATE)  # the form that the serializer needs
_JOB: TypeAdapter[Job] = TypeAdapter(Job)
_INDEX_BITS = 14  # an array has at most 10,000 children
_BLANK = {
    "id": "",
    "name": "",
    "queue": "",
    "definition_arn": "",
    "created_at_ms": 0,
    "platform": Platform.EC2,
    "milli_vcpus": 0,
    "memory_mib": 0,
}


def key_of(job: Job) -> int:
    """Returns the key of a job's row. Neighbours in a queue have neighbouring rows, and so have children."""
    index = -1 if job.array_index is None else job.array_index
    return job.serial << _INDEX_BITS | (index + 1)


def keys_of(serial: int) -> tuple[int, int]:
    """Returns the first and the last key of a job and its children."""
    return serial << _INDEX_BITS, ((serial + 1) << _INDEX_BITS) - 1


def spec_of(job: Job) -> str | None:
    """Returns the members that never change, as JSON; None for the child of an array."""
    if job.array_index is not None:
        return None
    return _JOB.dump_json(job, exclude=_STATE, exclude_defaults=True).decode()


def state_of(job: Job) -> str:
    """Returns the members that change, as JSON, without those that have the value of a new job."""
    return _JOB.dump_json(job, include=_STATE, exclude_defaults=True).decode()


def read(rows: Iterable[Row]) -> Iterator[Job]:
    """Yields jobs from rows in the order of their keys: a parent comes before its children.

    Raises:
        ValueError: a child without its parent.
    """
    parent: Job | None = None
    for key, spec, state in rows:
        if spec is not None:
            parent = _JOB.validate_python({**from_json(spec), **from_json(state)})
            yield parent
        elif parent is None or key >> _INDEX_BITS != parent.serial:
            raise ValueError(f"row {key} is the child of an array that does not exist")
        else:
            child = child_of(parent, key % (1 << _INDEX_BITS) - 1)
            stands = _JOB.validate_python({**_BLANK, **from_json(state)})
            for member in JOB_STATE:
                setattr(child, member, getattr(stands, member))
            yield child
