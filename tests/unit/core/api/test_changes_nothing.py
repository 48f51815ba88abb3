"""API operations change nothing themselves: what they want changed is in the events that they emit."""

import ast
from pathlib import Path

import pytest

import batch_engine.core.api
from batch_engine.core.api.control_plane import OPERATIONS
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, ResourcesChanged
from batch_engine.core.scheduling.scheduler import Scheduler
from tests.unit.core.audit.faults import twin
from tests.unit.core.audit.same_state import differences

MODULES = sorted(Path(batch_engine.core.api.__file__).parent.glob("*.py"))
CHANGES = {"touch", "forget", "forget_job", "next_order", "front_order", "handle"}
CHANGES_OF_COLLECTIONS = {"add", "put", "update", "setdefault", "pop", "clear", "append", "extend", "remove"}
# The one place that hands events to the scheduler, and a job that nobody else knows yet.
HANDLES = {"control_plane.py"}
MAKES = {"submission.py": {"job", "node"}}
OWN = {"self", "error"}


def changes(path):
    """Each line that changes an entity or the registry."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, holder = node.func.attr, node.func.value
            if name in CHANGES and path.name not in HANDLES:
                yield node.lineno, name
            if (
                name in CHANGES_OF_COLLECTIONS
                and isinstance(holder, ast.Attribute)
                and name_of(holder) not in OWN
            ):
                yield node.lineno, name
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                continue  # an object of the operation's own
            if name_of(node) not in OWN | MAKES.get(path.name, set()):
                yield node.lineno, ast.unparse(node)


def name_of(node):
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_changes_an_entity_or_the_registry(path):
    assert list(changes(path)) == []


def test_the_rule_finds_changes(tmp_path):
    bad = tmp_path / "bad.py"
    lines = [
        "queue.state = 1",
        "policy.body.update(x)",
        "context.registry.add(x)",
        "registry.touch(x)",
        "del a.b[c]",
    ]
    bad.write_text("\n".join(lines))
    assert sorted(line for line, _ in changes(bad)) == [1, 2, 3, 4, 5]


READS = {
    "DescribeComputeEnvironments": {},
    "DescribeConsumableResource": {"consumableResource": "seats"},
    "DescribeJobDefinitions": {},
    "DescribeJobQueues": {},
    "DescribeSchedulingPolicies": {"arns": []},
    "DescribeServiceEnvironments": {},
    "GetJobQueueSnapshot": {"jobQueue": "fair"},
    "ListConsumableResources": {},
    "ListJobs": {"jobQueue": "fair", "jobStatus": "RUNNABLE"},
    "ListJobsByConsumableResource": {"consumableResource": "seats"},
    "ListSchedulingPolicies": {},
}
OF_ONE_THING = {
    "DescribeJobs": lambda world, job: {"jobs": [job.id]},
    "ListTagsForResource": lambda world, job: {"resourceArn": world.registry.job_queues["fair"].arn},
}
# There are no service jobs and no quota shares without a queue of SageMaker's.
OTHERS = {"DescribeQuotaShare", "ListQuotaShares", "DescribeServiceJob", "ListServiceJobs"}


@pytest.fixture
def furnished(world):
    world.definition()
    world.call("CreateConsumableResource", consumableResourceName="seats", totalQuantity=3)
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={"shareDecaySeconds": 600})["arn"]
    order = [{"order": 1, "computeEnvironment": world.environment("ce", 2)}]
    request = {"jobQueueName": "fair", "priority": 1, "schedulingPolicyArn": policy}
    world.call("CreateJobQueue", computeEnvironmentOrder=order, **request)
    ended = world.submit("fair", shareIdentifier="A")
    world.tell(AttemptStarted(ended.id, 1))
    world.now_ms += 30_000
    world.tell(AttemptFinished(ended.id, 1, 0))
    world.submit("fair", shareIdentifier="B", arrayProperties={"size": 5})
    world.submit("fair", shareIdentifier="C", dependsOn=[{"jobId": ended.id}])
    world.now_ms += 5000
    return world


def test_every_operation_that_reads_is_tried():
    reads = {name for name in OPERATIONS if name.startswith(("Describe", "Get", "List"))}
    assert reads == {*READS, *OF_ONE_THING, *OTHERS}


@pytest.mark.parametrize("operation", [*READS, *OF_ONE_THING])
def test_reading_changes_nothing(furnished, operation):
    job = next(iter(furnished.registry.jobs.values()))
    request = READS.get(operation) or OF_ONE_THING.get(operation, lambda *_: {})(furnished, job)
    before, _ = twin(furnished.scheduler, ResourcesChanged())
    furnished.registry.changed.clear()
    handled = furnished.scheduler.log.count
    assert furnished.plane.call(operation, request, furnished.now_ms)[0]
    assert furnished.scheduler.log.count == handled, "it emits no event"
    assert furnished.registry.changed == {}
    assert differences(before, furnished.scheduler) == []


def test_the_comparison_finds_a_change(furnished):
    before, _ = twin(furnished.scheduler, ResourcesChanged())
    Scheduler.handle(furnished.scheduler, ResourcesChanged(), furnished.now_ms)
    next(iter(furnished.registry.jobs.values())).status_reason = "other"
    assert differences(before, furnished.scheduler) != []
