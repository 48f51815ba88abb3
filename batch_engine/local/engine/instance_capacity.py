"""Makes instance types unavailable, as when EC2 has none left: an API of ours for tests.

``POST /_batch-stack/capacity`` with ``{"instanceTypes": ["c7i.large", "m6i"], "available": false}`` answers
``{"unavailable": [...]}``, every type that cannot be launched from now on. Without a body it changes nothing.
Running instances stay. After a restart of the server every type is available.
"""

from collections.abc import Callable, Iterable

from batch_engine.core.model.instance_types import Catalogue
from batch_engine.local.engine.interrupt import Answer, json_object

PATH = "/_batch-stack/capacity"

Change = Callable[[list[str], bool], list[str]]


class CapacityError(Exception):
    """The catalogue has no such instance type, or the request is not valid."""


def types_named(catalogue: Catalogue, names: Iterable[str]) -> set[str]:
    """Returns the instance types that names stand for: types, families, and words such as ``optimal``.

    Raises:
        CapacityError: the catalogue has no such type or family.
    """
    expansion = catalogue.expand(list(names))
    if expansion.unknown:
        raise CapacityError(
            f"the catalogue has no instance type or family {', '.join(expansion.unknown)}: "
            "an environment that names it cannot launch it anyway"
        )
    return {item.name for _, item in expansion.types}


def answer(change: Change, body: bytes) -> Answer:
    """Answers one request.

    Args:
        change: ``Engine.change_capacity``.
        body: the request's JSON.
    """
    try:
        request = json_object(body)
        names = request.get("instanceTypes", [])
        available = request.get("available", True)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CapacityError(f"instanceTypes must be a list of names, got {names!r}")
        if not isinstance(available, bool):
            raise CapacityError(f"available must be true or false, got {available!r}")
        return 200, {"unavailable": change(names, available)}
    except (CapacityError, ValueError) as error:
        return 400, {"message": str(error)}
