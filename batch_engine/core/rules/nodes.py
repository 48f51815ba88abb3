"""Checks the node ranges of multi-node parallel jobs, and finds the properties of each node.

https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeProperties.html
"""

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules.containers import check_container, check_task
from batch_engine.core.rules.pods import check_pod

MAX_NODES = 1000
MAX_RANGES = 5
BODIES = ("container", "ecsProperties", "eksProperties")


def check_nodes(properties: Wire) -> None:
    """Checks ``nodeProperties``.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    count, main, ranges = properties["numNodes"], properties["mainNode"], properties["nodeRangeProperties"]
    if not 1 <= count <= MAX_NODES:
        raise ClientError(f"Number of nodes must be between 1 and {MAX_NODES}.")
    if len(ranges) > MAX_RANGES:
        raise ClientError(f"Maximum allowed size of node range properties is {MAX_RANGES}")
    if not 0 <= main < count:
        raise ClientError("Main node index is out of range, must be less than numNodes.")
    covered: set[int] = set()
    for entry in ranges:
        covered.update(nodes_of(entry["targetNodes"], count))
        _check_range(entry)
    if len(covered) < count:
        missing = next(node for node in range(count) if node not in covered)
        raise ClientError(f"Node ranges must cover every node, node {missing} is in none")


def nodes_of(target: str, count: int) -> range:
    """Returns the nodes of a range such as ``0:3``, ``:3``, ``2:`` or ``2``.

    Raises:
        ClientError: the text is not a range of the job's nodes.
    """
    first, colon, last = target.partition(":")
    for part in (first, last):
        if part and not (part.isascii() and part.isdigit() and len(part) < 10):
            raise ClientError("targetNodes should contain only digits.")
    if not first and not colon:
        raise ClientError("targetNodes should contain only digits.")
    start = int(first or 0)
    end = (int(last) if last else count - 1) if colon else start
    if not start <= end < count:
        raise ClientError(f"targetNodes must be a range of nodes 0 to {count - 1}, got {target}")
    return range(start, end + 1)


def _check_range(entry: Wire) -> None:
    target = entry["targetNodes"]
    given = [body for body in BODIES if body in entry]
    if not given:
        raise ClientError(f"Must specify container for node range {target}")
    if len(given) > 1:
        raise ClientError(
            f"Exactly one of {', '.join(BODIES)} must be given for node range {target}, "
            f"got {', '.join(given)}"
        )
    if types := entry.get("instanceTypes"):
        if given != ["ecsProperties"]:
            raise ClientError(f"instanceTypes of node range {target} can be given only with ecsProperties")
        if len(types) != 1:
            raise ClientError(f"instanceTypes of node range {target} must have one element, got {len(types)}")
    match given[0]:
        case "container":
            check_container(entry["container"], Platform.EC2)
        case "ecsProperties":
            check_task(entry["ecsProperties"], Platform.EC2)
        case _:
            check_pod(entry["eksProperties"])


def overridden(properties: Wire, overrides: Wire) -> Wire:
    """Returns ``nodeProperties`` with the ``numNodes`` of ``nodeOverrides``.

    Raises:
        ClientError: the definition's ranges do not allow that many nodes.
    """
    count = overrides.get("numNodes")
    if count is None:
        return properties
    if not 1 <= count <= MAX_NODES:
        raise ClientError(f"Number of nodes must be between 1 and {MAX_NODES}.")
    if properties["mainNode"] >= count:
        raise ClientError("Main node index is out of range, must be less than numNodes.")
    targets = [entry["targetNodes"] for entry in properties["nodeRangeProperties"]]
    open_ended = [target for target in targets if target.endswith(":")]
    if count != properties["numNodes"] and not any(int(target[:-1] or 0) < count for target in open_ended):
        raise ClientError(
            f"numNodes can be changed to {count} only where a node range is open-ended and starts below it, "
            f"got {', '.join(targets)}"
        )
    return {**properties, "numNodes": count}


def narrowest(entries: list[Wire], count: int, largest: int) -> list[Wire | None]:
    """Returns the entry of each node: the narrower range wins, among equals the later one.

    Args:
        entries: the entries, each with ``targetNodes``.
        count: the number of the job's nodes.
        largest: the number of nodes that ranges may cover: the definition's, if it is larger than ``count``.
    """
    found: list[Wire | None] = [None] * count
    for entry in sorted(entries, key=lambda entry: -len(nodes_of(entry["targetNodes"], largest))):
        for node in nodes_of(entry["targetNodes"], largest):
            if node < count:
                found[node] = entry
    return found


def plan(properties: Wire, overrides: Wire) -> list[tuple[Wire, Wire]]:
    """Returns for each node its range of the definition and its entry of ``nodePropertyOverrides``.

    Args:
        properties: ``nodeProperties`` of the definition, before ``overridden``.
        overrides: SubmitJob's ``nodeOverrides``.

    Raises:
        ClientError: a node has no range, or this engine cannot carry out an override.
    """
    count = overridden(properties, overrides)["numNodes"]
    ranges = narrowest(properties["nodeRangeProperties"], count, max(count, properties["numNodes"]))
    changes = overrides.get("nodePropertyOverrides") or []
    for change in changes:
        for member in ("instanceTypes", "eksPropertiesOverride"):
            if change.get(member):
                raise ClientError(f"nodePropertyOverrides.{member} is not supported by this engine")
    changed = narrowest(changes, count, count)
    planned = []
    for node, (entry, change) in enumerate(zip(ranges, changed, strict=True)):
        if entry is None:
            raise ClientError(f"Node ranges must cover every node, node {node} is in none")
        if "eksProperties" in entry:
            raise ClientError("eksProperties of a node range is not supported by this engine")
        planned.append((entry, change or {}))
    return planned
