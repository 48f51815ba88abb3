"""What the node groups of a multi-node parallel job definition may ask for.

https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeProperties.html
"""

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.model import Platform, Wire
from batch_engine.core.rules.containers import check_container
from batch_engine.core.rules.pods import check_pod
from batch_engine.core.rules.task_checks import check_task

MAX_NODES = 1000
MAX_RANGES = 5
BODIES = ("container", "ecsProperties", "eksProperties")


def check_nodes(properties: Wire) -> None:
    """Check ``nodeProperties``.

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
    """The nodes of a range such as ``0:3``, ``:3``, ``2:`` or ``2``.

    Raises:
        ClientError: it is not a range of the job's nodes.
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
