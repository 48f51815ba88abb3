"""CloudFormation's rules of create, update, replacement and delete, against a service that records calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_engine import translation as cfn
from batch_engine.local.base.ports import ClientError
from batch_engine.local.cloudformation.batch_resources import BatchResources
from batch_engine.local.cloudformation.kept_revisions import KeptRevisions
from batch_engine.local.cloudformation.resource import ResourceError, generated_name

ARN = "arn:aws:batch:us-east-1:000000000000:"
CE: dict[str, Any] = {
    "Type": "managed",
    "ReplaceComputeEnvironment": False,
    "ComputeResources": {
        "Type": "SPOT",
        "MaxvCpus": 64,
        "InstanceTypes": ["c6i"],
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
        "SpotIamFleetRole": "r",
    },
}
QUEUE: dict[str, Any] = {
    "Priority": 1,
    "State": "ENABLED",
    "ComputeEnvironmentOrder": [{"ComputeEnvironment": "ce", "Order": 1}],
    "JobStateTimeLimitActions": [
        {"Action": "CANCEL", "MaxTimeSeconds": 600, "Reason": "r", "State": "RUNNABLE"}
    ],
}
JOB_DEFINITION: dict[str, Any] = {"Type": "container", "ContainerProperties": {"Image": "i"}}


class RecordingService:
    """Just enough of AWS Batch to hold resources; what each call was, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.resources: dict[str, dict[str, Any]] = {}
        self.created_status = "VALID"
        self.pending_deletes: set[str] = set()
        self.refuse: dict[str, str] = {}
        self.busy: dict[str, int] = {}
        self._revisions: dict[str, int] = {}

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, request))
        if operation in self.refuse:
            raise ClientError(self.refuse[operation])
        if self.busy.get(operation, 0) > 0:
            self.busy[operation] -= 1
            raise ClientError("Cannot delete, resource is being modified")
        handler: Callable[[str, dict[str, Any]], dict[str, Any]]
        for prefix in ("Describe", "Create", "Register", "Deregister", "Update", "Delete"):
            if operation.startswith(prefix):
                handler = getattr(self, f"_{prefix.lower()}")
                return handler(operation.removeprefix(prefix), request)
        return {}

    def names(self) -> list[str]:
        return [operation for operation, _ in self.calls if not operation.startswith("Describe")]

    def _create(self, noun: str, request: dict[str, Any]) -> dict[str, Any]:
        kind, member = {
            "ComputeEnvironment": ("compute-environment", "computeEnvironment"),
            "JobQueue": ("job-queue", "jobQueue"),
            "SchedulingPolicy": ("scheduling-policy", ""),
            "ConsumableResource": ("consumable-resource", "consumableResource"),
            "ServiceEnvironment": ("service-environment", "serviceEnvironment"),
            "QuotaShare": ("job-queue/q/quota-share", "quotaShare"),
        }[noun]
        name = request[f"{member}Name" if member else "name"]
        arn = f"{ARN}{kind}/{name}"
        self.resources[arn] = {"status": self.created_status, "state": "ENABLED", "statusReason": "why not"}
        return {f"{member}Arn" if member else "arn": arn}

    def _register(self, _: str, request: dict[str, Any]) -> dict[str, Any]:
        name = request["jobDefinitionName"]
        self._revisions[name] = self._revisions.get(name, 0) + 1
        arn = f"{ARN}job-definition/{name}:{self._revisions[name]}"
        self.resources[arn] = {"status": "ACTIVE"}
        return {"jobDefinitionArn": arn}

    def _deregister(self, _: str, request: dict[str, Any]) -> dict[str, Any]:
        self.resources[request["jobDefinition"]]["status"] = "INACTIVE"
        return {}

    def _update(self, _: str, request: dict[str, Any]) -> dict[str, Any]:
        resource = self.resources[next(iter(request.values()))]
        resource["state"] = request.get("state", resource.get("state"))
        return {}

    def _delete(self, _: str, request: dict[str, Any]) -> dict[str, Any]:
        arn = next(iter(request.values()))
        self.resources[arn]["status"] = "DELETING"
        self.pending_deletes.add(arn)
        return {}

    def _describe(self, noun: str, request: dict[str, Any]) -> dict[str, Any]:
        named = next(iter(request.values()))
        arn = named if isinstance(named, str) else named[0]
        member = noun[0].lower() + noun[1:]
        found = [dict(self.resources[arn])] if arn in self.resources else []
        if arn in self.pending_deletes:
            # Seen once more as DELETING, then gone.
            self.pending_deletes.discard(arn)
            self.resources.pop(arn, None)
        if isinstance(named, str):
            if not found:
                raise ClientError(f"{arn} not found")
            return {"createdAt": 1, "inUseQuantity": 2, "availableQuantity": 3, **found[0]}
        return {member: found}


@pytest.fixture
def service() -> RecordingService:
    return RecordingService()


@pytest.fixture
def resources(service: RecordingService) -> BatchResources:
    time_s = iter(range(10_000))
    return BatchResources(service, sleep=lambda _: None, clock=lambda: float(next(time_s)))


@pytest.mark.parametrize(
    ("kind", "properties", "attribute", "arn"),
    [
        (cfn.COMPUTE_ENVIRONMENT, CE, "ComputeEnvironmentArn", "compute-environment/Logical-"),
        (cfn.JOB_QUEUE, QUEUE, "JobQueueArn", "job-queue/Logical-"),
        (cfn.JOB_DEFINITION, JOB_DEFINITION, "JobDefinitionArn", "job-definition/Logical-"),
        (cfn.SCHEDULING_POLICY, {}, "Arn", "scheduling-policy/Logical-"),
        (cfn.SERVICE_ENVIRONMENT, {}, "ServiceEnvironmentArn", "service-environment/Logical-"),
        (cfn.QUOTA_SHARE, {}, "QuotaShareArn", "job-queue/q/quota-share/Logical-"),
    ],
)
def test_ref_and_getatt_are_the_arn_of_a_generated_name(
    resources: BatchResources, kind: str, properties: dict[str, Any], attribute: str, arn: str
) -> None:
    created = resources.create(kind, "Logical", properties)
    assert created.physical_id.startswith(ARN + arn)
    assert created.attributes == {attribute: created.physical_id}
    assert resources.create(kind, "Logical", properties).physical_id != created.physical_id


def test_a_generated_name_is_a_legal_one() -> None:
    name = generated_name("L" * 255)
    assert len(name) == 128
    assert name[:-16].endswith("-")
    assert name[-16:].isalnum()


def test_a_resource_that_turns_invalid_fails_and_is_not_left_behind(
    resources: BatchResources, service: RecordingService
) -> None:
    service.created_status = "INVALID"
    with pytest.raises(ResourceError, match="did not become VALID: why not"):
        resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", CE)
    assert service.resources == {}


def test_a_refusal_carries_the_services_words_and_the_operation(
    resources: BatchResources, service: RecordingService
) -> None:
    service.refuse["CreateJobQueue"] = "Job Queue name should match a valid pattern."
    with pytest.raises(
        ResourceError, match=r'"Job Queue name should match a valid pattern\.".*CreateJobQueue'
    ):
        resources.create(cfn.JOB_QUEUE, "Queue", QUEUE)


def test_an_unknown_property_is_refused_before_any_call(
    resources: BatchResources, service: RecordingService
) -> None:
    with pytest.raises(ResourceError, match=r"unknown property .* at Properties\.Prio"):
        resources.create(cfn.JOB_QUEUE, "Queue", {"Prio": 1})
    assert service.calls == []


def updated(
    resources: BatchResources, service: RecordingService, kind: str, old: dict[str, Any], new: dict[str, Any]
) -> tuple[str, str]:
    before = resources.create(kind, "Logical", old).physical_id
    service.calls.clear()
    return before, resources.update(kind, before, "Logical", old, new).physical_id


def in_ce(**changes: Any) -> dict[str, Any]:
    """A compute environment with other compute resources; None removes one."""
    merged = CE["ComputeResources"] | changes
    return CE | {"ComputeResources": {key: value for key, value in merged.items() if value is not None}}


@pytest.mark.parametrize(
    "new",
    [
        CE | {"ComputeEnvironmentName": "other"},
        CE | {"Type": "unmanaged"},
        CE | {"Tags": {"a": "b"}},
        in_ce(SpotIamFleetRole="other"),
        in_ce(InstanceTypes=["m6i"]) | {"ReplaceComputeEnvironment": "true"},
        {key: value for key, value in in_ce(Type="EC2").items() if key != "ReplaceComputeEnvironment"},
    ],
    ids=["name", "type", "tags", "fleet role", "told to", "by default"],
)
def test_compute_environment_changes_that_replace(
    resources: BatchResources, service: RecordingService, new: dict[str, Any]
) -> None:
    before, after = updated(resources, service, cfn.COMPUTE_ENVIRONMENT, CE, new)
    assert after != before
    assert service.names() == ["CreateComputeEnvironment"], "the old one goes when the whole update succeeded"


@pytest.mark.parametrize(
    ("new", "sent"),
    [
        (in_ce(MaxvCpus="128"), {"computeResources": {"maxvCpus": 128}}),
        (in_ce(InstanceTypes=["m6i"]), {"computeResources": {"instanceTypes": ["m6i"]}}),
        (in_ce(LaunchTemplate=None), {"computeResources": {"launchTemplate": {"launchTemplateId": ""}}}),
        (CE | {"State": "DISABLED"}, {"state": "DISABLED"}),
        (
            in_ce(MaxvCpus=1) | {"UpdatePolicy": {"TerminateJobsOnUpdate": "true"}},
            {"computeResources": {"maxvCpus": 1}, "updatePolicy": {"terminateJobsOnUpdate": True}},
        ),
    ],
    ids=["vcpus", "types", "template removed", "state", "with its policy"],
)
def test_compute_environment_changes_in_place(
    resources: BatchResources, service: RecordingService, new: dict[str, Any], sent: dict[str, Any]
) -> None:
    before, after = updated(resources, service, cfn.COMPUTE_ENVIRONMENT, CE, new)
    assert after == before
    assert [c for c in service.calls if not c[0].startswith("Describe")] == [
        ("UpdateComputeEnvironment", {"computeEnvironment": before, **sent})
    ]


def test_turning_replacement_off_changes_nothing_by_itself(
    resources: BatchResources, service: RecordingService
) -> None:
    old = CE | {"ReplaceComputeEnvironment": True}
    before, after = updated(resources, service, cfn.COMPUTE_ENVIRONMENT, old, CE)
    assert after == before
    assert service.names() == []


def test_a_resource_with_a_name_of_its_own_is_not_replaced(
    resources: BatchResources, service: RecordingService
) -> None:
    old = CE | {"ComputeEnvironmentName": "mine"}
    with pytest.raises(ResourceError, match=r"custom-named resource requires replacing\. Rename .*/mine"):
        updated(resources, service, cfn.COMPUTE_ENVIRONMENT, old, old | {"Tags": {"a": "b"}})


def test_a_queue_is_updated_in_place_and_its_tags_follow(
    resources: BatchResources, service: RecordingService
) -> None:
    old = QUEUE | {"Tags": {"gone": "1", "kept": "1", "changed": "1"}}
    new = {"Priority": "7", "Tags": {"kept": "1", "changed": 2}}
    before, after = updated(resources, service, cfn.JOB_QUEUE, old, new)
    assert after == before
    assert [c for c in service.calls if not c[0].startswith("Describe")] == [
        (
            "UpdateJobQueue",
            {"jobQueue": before, "priority": 7, "state": "ENABLED", "jobStateTimeLimitActions": []},
        ),
        ("UntagResource", {"resourceArn": before, "tagKeys": ["gone"]}),
        ("TagResource", {"resourceArn": before, "tags": {"changed": "2"}}),
    ]


@pytest.mark.parametrize("skip", [True, "true", False, None])
def test_a_job_definition_gets_a_new_revision_and_the_old_one_is_deregistered_unless_told_not_to(
    resources: BatchResources, service: RecordingService, skip: object
) -> None:
    new = JOB_DEFINITION | {"Timeout": {"AttemptDurationSeconds": 60}}
    if skip is not None:
        new["ResourceRetentionPolicy"] = {"SkipDeregisterOnUpdate": skip}
    before, after = updated(resources, service, cfn.JOB_DEFINITION, JOB_DEFINITION, new)
    assert (before[:-2], before[-2:], after[-2:]) == (after[:-2], ":1", ":2")
    resources.delete(cfn.JOB_DEFINITION, before)
    kept = str(skip).lower() == "true"
    assert service.resources[before]["status"] == ("ACTIVE" if kept else "INACTIVE")
    resources.delete(cfn.JOB_DEFINITION, after)
    assert service.resources[after]["status"] == "INACTIVE", "deleting the stack deregisters what it holds"


def test_a_rolled_back_revision_gives_the_old_one_back_to_the_stack(
    resources: BatchResources, service: RecordingService
) -> None:
    new = JOB_DEFINITION | {"ResourceRetentionPolicy": {"SkipDeregisterOnUpdate": True}}
    before, after = updated(resources, service, cfn.JOB_DEFINITION, JOB_DEFINITION, new)
    resources.delete(cfn.JOB_DEFINITION, after)
    resources.delete(cfn.JOB_DEFINITION, before)
    assert service.resources[before]["status"] == "INACTIVE"


def test_a_renamed_job_definition_is_another_one(
    resources: BatchResources, service: RecordingService
) -> None:
    new = JOB_DEFINITION | {"JobDefinitionName": "other"}
    _, after = updated(resources, service, cfn.JOB_DEFINITION, JOB_DEFINITION, new)
    assert after.endswith("job-definition/other:1")


@pytest.mark.parametrize(
    ("kind", "properties", "operations"),
    [
        (cfn.JOB_QUEUE, QUEUE, ["UpdateJobQueue", "DeleteJobQueue"]),
        (cfn.COMPUTE_ENVIRONMENT, CE, ["UpdateComputeEnvironment", "DeleteComputeEnvironment"]),
        (cfn.SCHEDULING_POLICY, {}, ["DeleteSchedulingPolicy"]),
        (cfn.CONSUMABLE_RESOURCE, {}, ["DeleteConsumableResource"]),
        (cfn.SERVICE_ENVIRONMENT, {}, ["UpdateServiceEnvironment", "DeleteServiceEnvironment"]),
        (cfn.QUOTA_SHARE, {}, ["UpdateQuotaShare", "DeleteQuotaShare"]),
    ],
)
def test_delete_disables_first_and_waits_until_it_is_gone(
    resources: BatchResources,
    service: RecordingService,
    kind: str,
    properties: dict[str, Any],
    operations: list[str],
) -> None:
    arn = resources.create(kind, "Logical", properties).physical_id
    service.calls.clear()
    resources.delete(kind, arn)
    assert service.names() == operations
    if len(operations) == 2:
        assert arn not in service.resources
    service.calls.clear()
    service.resources.clear()
    resources.delete(kind, arn)
    assert service.names() == [], "gone already"


def test_a_consumable_resource_counts_in_its_attributes(resources: BatchResources) -> None:
    created = resources.create(cfn.CONSUMABLE_RESOURCE, "Licences", {"TotalQuantity": 5})
    assert created.attributes == {
        "ConsumableResourceArn": created.physical_id,
        "CreatedAt": "1",
        "InUseQuantity": "2",
        "AvailableQuantity": "3",
    }


@pytest.mark.parametrize("operation", ["UpdateComputeEnvironment", "DeleteComputeEnvironment"])
def test_a_resource_that_is_being_modified_is_tried_again(
    resources: BatchResources, service: RecordingService, operation: str
) -> None:
    arn = resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", CE).physical_id
    service.busy[operation] = 3
    resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)
    assert service.names().count(operation) == 4
    assert arn not in service.resources


def test_a_resource_that_is_modified_for_ever_is_given_up(
    resources: BatchResources, service: RecordingService
) -> None:
    arn = resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", CE).physical_id
    service.busy["DeleteComputeEnvironment"] = 100_000
    with pytest.raises(ResourceError, match="resource is being modified"):
        resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)


def test_revisions_that_skip_deregister_on_update_keeps_outlive_the_server(
    service: RecordingService, tmp_path: Path
) -> None:
    path = tmp_path / "kept.json"
    first = BatchResources(service, kept_revisions=KeptRevisions(path))
    new = JOB_DEFINITION | {"ResourceRetentionPolicy": {"SkipDeregisterOnUpdate": True}}
    before, after = updated(first, service, cfn.JOB_DEFINITION, JOB_DEFINITION, new)
    second = BatchResources(service, kept_revisions=KeptRevisions(path))
    second.delete(cfn.JOB_DEFINITION, before)
    assert service.resources[before]["status"] == "ACTIVE", "cleaned up after the restart"
    third = BatchResources(service, kept_revisions=KeptRevisions(path))
    third.delete(cfn.JOB_DEFINITION, before)
    assert service.resources[before]["status"] == "INACTIVE", "kept once, not for ever"
    third.delete(cfn.JOB_DEFINITION, after)
    assert service.resources[after]["status"] == "INACTIVE"


def test_a_compute_environment_in_use_is_not_deleted(
    resources: BatchResources, service: RecordingService
) -> None:
    arn = resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", CE).physical_id
    service.refuse["DeleteComputeEnvironment"] = "Cannot delete, found existing JobQueue relationship"
    with pytest.raises(ResourceError, match="found existing JobQueue relationship"):
        resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)


def test_waiting_has_an_end(resources: BatchResources, service: RecordingService) -> None:
    service.created_status = "CREATING"
    with pytest.raises(ResourceError, match="did not settle within 7200 s, its status is CREATING"):
        resources.create(cfn.JOB_QUEUE, "Queue", QUEUE)
