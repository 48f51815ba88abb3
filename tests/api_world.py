"""AWS Batch's API in-process, without processes or time: requests and answers as they travel."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.parsers
import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

from batch_engine.catalogue.instances import instance_types
from batch_engine.core.api.control_plane import ControlPlane
from batch_engine.core.api.wire import job_detail
from batch_engine.core.audit.invariants import violations
from batch_engine.core.capacity.usage import HostLimits
from batch_engine.core.model.actions import Action, LaunchInstance, PublishJobState, StartAttempt, StopAttempt
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, Event, InstanceReady
from batch_engine.core.model.ids import Arns
from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.registry import Registry
from batch_engine.local.api.api import BatchApi
from batch_engine.local.engine.event_outbox import announcement
from batch_engine.local.store.store import Store

MODEL = botocore.session.get_session().get_service_model("batch")
PARSER = botocore.parsers.create_parser("rest-json")
ACCOUNT, REGION = "123456789012", "eu-central-1"
# The model calls these required, but a job that never ran has none (AWS's own event samples show that).
OPTIONAL_AFTER_ALL = {("JobDetail", "startedAt"), ("DescribeServiceJobResponse", "startedAt")}
_SCALARS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "long": int,
    "double": (int, float),
    "float": (int, float),
    "boolean": bool,
}


def mismatches(value: Any, shape: Shape | None, path: str = "") -> list[str]:
    """Where an answer is not of the shape that AWS's model gives it: unknown, missing or of another type."""
    if shape is None:
        return [] if value == {} else [f"{path}: the operation answers nothing, got {value!r}"]
    if isinstance(shape, StructureShape | MapShape):
        if not isinstance(value, dict):
            return [f"{path}: not an object: {value!r}"]
        found = _misfits(value, shape, path) if isinstance(shape, StructureShape) else []
        for name, item in value.items():
            member = shape.members.get(name) if isinstance(shape, StructureShape) else shape.value
            if member is not None:
                found += mismatches(item, member, f"{path}.{name}")
        return found
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            return [f"{path}: not a list: {value!r}"]
        return [
            problem
            for place, item in enumerate(value)
            for problem in mismatches(item, shape.member, f"{path}[{place}]")
        ]
    return _scalar_mismatches(value, shape, path)


def _misfits(value: dict[str, Any], shape: StructureShape, path: str) -> list[str]:
    unknown = [f"{path}.{name}: not in {shape.name}" for name in value.keys() - shape.members.keys()]
    missing = [
        f"{path}.{name}: missing"
        for name in shape.required_members
        if name not in value and (shape.name, name) not in OPTIONAL_AFTER_ALL
    ]
    return unknown + missing


def _scalar_mismatches(value: Any, shape: Shape, path: str) -> list[str]:
    wanted = _SCALARS[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        return [f"{path}: not a {shape.type_name}: {value!r}"]
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        return [f"{path}: {value!r} is not one of {shape.enum}"]
    return []


class CountedIds:
    def __init__(self) -> None:
        self.count = 0

    def uuid(self) -> str:
        self.count += 1
        return f"00000000-0000-4000-8000-{self.count:012d}"

    def hex(self, length: int) -> str:
        self.count += 1
        return f"{self.count:0{length}x}"


class Refused(Exception):  # noqa: N818 - reads better in a test
    """The API said no; ``message`` is what it said."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass
class ApiWorld:
    """The API over a core of its own. It checks every answer against the model's output shape."""

    state_file: Path | None = None
    host: HostLimits = field(default_factory=HostLimits)
    now_ms: int = 1_700_000_000_000
    under_way: dict[tuple[str, int], None] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids, arns, self.registry = CountedIds(), Arns(ACCOUNT, REGION), Registry()
        self.store = None if self.state_file is None else Store(self.state_file)
        self.scheduler = Scheduler(
            self.registry, arns, ids, self.host, Catalogue(instance_types()), render=job_detail
        )
        self.plane = ControlPlane(self.registry, self.scheduler, arns, ids)
        self.api = BatchApi(self)
        self._paths = {
            name: (MODEL.operation_model(name).http["method"], MODEL.operation_model(name).http["requestUri"])
            for name in MODEL.operation_names
        }

    # What BatchApi calls.
    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        response, actions = self.plane.call(operation, request, self.now_ms)
        self._carry_out(actions)
        return response

    def tell(self, event: Event) -> None:
        self._carry_out(self.scheduler.handle(event, self.now_ms))

    def _carry_out(self, actions: list[Action]) -> None:
        details = [action.detail for action in actions if isinstance(action, PublishJobState)]
        self.published += details
        if self.store is not None:
            told = [found for action in actions if (found := announcement(action)) is not None]
            self.store.save(self.registry.changed, told, self.now_ms)
        self.registry.changed.clear()
        self.now_ms += 1
        for action in actions:
            match action:
                case StartAttempt(job_id, attempt):
                    self.under_way[job_id, attempt] = None
                case StopAttempt(job_id, attempt):
                    if self.under_way.pop((job_id, attempt), 0) is None:
                        self.tell(AttemptFinished(job_id, attempt, 137))
                case LaunchInstance(instance_id):
                    self.tell(InstanceReady(instance_id))

    def started(self) -> None:
        """Every container that was started comes up."""
        for job_id, attempt in list(self.under_way):
            self.tell(AttemptStarted(job_id, attempt))

    def finished(self, exit_code: int = 0, count: int | None = None) -> None:
        """Containers that were started end, the longest running first."""
        for job_id, attempt in list(self.under_way)[:count]:
            self.under_way.pop((job_id, attempt), None)
            self.tell(AttemptStarted(job_id, attempt))
            self.tell(AttemptFinished(job_id, attempt, exit_code))

    def send(self, operation: str, request: Any) -> tuple[int, dict[str, str], bytes]:
        """One request as it travels; ``request`` may be anything that JSON can say, or bytes."""
        return self.api.handle(*self.on_the_wire(operation, request))

    def on_the_wire(self, operation: str, request: Any) -> tuple[str, str, bytes, dict[str, list[str]]]:
        """Method, path, body and query of a request."""
        method, path = self._paths[operation]
        query: dict[str, list[str]] = {}
        if "{resourceArn}" in path and isinstance(request, dict):
            request = dict(request)
            path = path.replace("{resourceArn}", str(request.pop("resourceArn", "")))
            if isinstance(keys := request.get("tagKeys"), list):
                query["tagKeys"] = [str(key) for key in keys]
                del request["tagKeys"]
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return method, path, body, query

    def ask(self, operation: str, /, **request: Any) -> dict[str, Any]:
        """One request and its answer, checked against the model and read by botocore's own parser."""
        status, headers, body = self.send(operation, request)
        answer = json.loads(body)
        if status != 200:
            assert (status, headers["x-amzn-ErrorType"]) == (400, "ClientException"), body
            assert set(answer) == {"message"}
            raise Refused(answer["message"])
        shape = MODEL.operation_model(operation).output_shape
        assert mismatches(answer, shape, operation) == []
        parsed = PARSER.parse({"status_code": status, "headers": headers, "body": body}, shape)
        assert parsed.pop("ResponseMetadata")["HTTPStatusCode"] == 200
        assert violations(self.scheduler) == []
        return dict(parsed)

    def refusal(self, operation: str, /, **request: Any) -> str:
        """Why a request is refused, without the frame that some refusals travel in."""
        try:
            answer = self.ask(operation, **request)
        except Refused as refused:
            text = refused.message.removeprefix("Error executing request, Exception : ")
            return text.rpartition(", RequestId: ")[0] if text != refused.message else text
        raise AssertionError(f"{operation} was not refused: {answer}")

    def environment(self, name: str = "ce", kind: str = "EC2", max_vcpus: int = 4, **extra: Any) -> str:
        resources: dict[str, Any] = {"type": kind, "maxvCpus": max_vcpus, "subnets": ["subnet-1"]}
        if kind in ("EC2", "SPOT"):
            resources |= {"minvCpus": 0, "instanceTypes": ["m6i"], "instanceRole": "ecsInstanceRole"}
        else:
            resources["securityGroupIds"] = ["sg-1"]
        created = self.ask(
            "CreateComputeEnvironment",
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={**resources, **extra},
        )
        return str(created["computeEnvironmentArn"])

    def queue(self, name: str = "q", *environments: str, priority: int = 1, **extra: Any) -> str:
        order = [{"order": place, "computeEnvironment": arn} for place, arn in enumerate(environments, 1)]
        request = {"jobQueueName": name, "priority": priority, "computeEnvironmentOrder": order, **extra}
        return str(self.ask("CreateJobQueue", **request)["jobQueueArn"])

    def definition(self, name: str = "d", **request: Any) -> str:
        wanted = {
            "jobDefinitionName": name,
            "type": "container",
            "containerProperties": container(),
            **request,
        }
        return str(self.ask("RegisterJobDefinition", **wanted)["jobDefinitionArn"])

    def submit(self, name: str = "j", queue: str = "q", definition: str = "d", **request: Any) -> str:
        submitted = self.ask("SubmitJob", jobName=name, jobQueue=queue, jobDefinition=definition, **request)
        return str(submitted["jobId"])


def container(vcpus: str = "1", memory: str = "256", **properties: Any) -> dict[str, Any]:
    requirements = [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory}]
    return {"image": "busybox", "resourceRequirements": requirements, **properties}


def sagemaker_queue(world: ApiWorld, name: str = "training", quota: bool = True) -> str:
    """A queue of service jobs, with its service environment and its policy."""
    unit = "ml.m5.large" if quota else "NUM_INSTANCES"
    environment = world.ask(
        "CreateServiceEnvironment",
        serviceEnvironmentName=f"{name}-env",
        serviceEnvironmentType="SAGEMAKER_TRAINING",
        capacityLimits=[{"maxCapacity": 8, "capacityUnit": unit}],
    )["serviceEnvironmentArn"]
    extra = {}
    if quota:
        policy = world.ask(
            "CreateSchedulingPolicy",
            name=f"{name}-policy",
            quotaSharePolicy={"idleResourceAssignmentStrategy": "FIFO"},
        )
        extra["schedulingPolicyArn"] = policy["arn"]
    created = world.ask(
        "CreateJobQueue",
        jobQueueName=name,
        priority=1,
        jobQueueType="SAGEMAKER_TRAINING",
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": environment}],
        **extra,
    )
    return str(created["jobQueueArn"])
