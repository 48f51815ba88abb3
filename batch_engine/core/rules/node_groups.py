"""From ``nodeProperties`` and ``nodeOverrides`` to what each node of a multi-node parallel job runs.

https://docs.aws.amazon.com/batch/latest/userguide/multi-node-parallel-jobs.html
"""

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.model import Wire
from batch_engine.core.rules.nodes import MAX_NODES, nodes_of


def overridden(properties: Wire, overrides: Wire) -> Wire:
    """``nodeProperties`` with the ``numNodes`` of ``nodeOverrides``.

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
    """For each node the entry that holds for it: the narrower range wins, among equals the later.

    Args:
        entries: with ``targetNodes`` each.
        count: how many nodes the job has.
        largest: up to where ranges may reach: the definition's number of nodes, where that was more.
    """
    found: list[Wire | None] = [None] * count
    for entry in sorted(entries, key=lambda entry: -len(nodes_of(entry["targetNodes"], largest))):
        for node in nodes_of(entry["targetNodes"], largest):
            if node < count:
                found[node] = entry
    return found


def plan(properties: Wire, overrides: Wire) -> list[tuple[Wire, Wire]]:
    """What each node runs: its range of the definition, and its entry of ``nodePropertyOverrides``.

    Args:
        properties: the definition's, before ``overridden``.
        overrides: SubmitJob's ``nodeOverrides``.

    Raises:
        ClientError: a node without a range, or an override that this engine cannot carry out.
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
