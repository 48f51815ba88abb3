"""CloudFormation stacks with ``AWS::Batch::*`` resources, through the endpoint."""

import json
from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.support import wait_for

pytestmark = pytest.mark.cloud


def template(max_vcpus: object = 4, command: str = "true", priority: int = 1, **ce: Any) -> dict[str, Any]:
    compute = {
        "Type": "EC2",
        "MinvCpus": 0,
        "MaxvCpus": max_vcpus,
        "InstanceTypes": ["m6i"],
        "Subnets": ["subnet-1"],
        "InstanceRole": "ecsInstanceRole",
    }
    ce_properties = {"Type": "managed", "ComputeResources": compute, "ReplaceComputeEnvironment": False} | ce
    queue = {
        "Priority": priority,
        "ComputeEnvironmentOrder": [{"ComputeEnvironment": {"Ref": "Ce"}, "Order": 1}],
    }
    container = {
        "Image": "busybox",
        "Command": [command],
        "ResourceRequirements": [{"Type": "VCPU", "Value": "1"}, {"Type": "MEMORY", "Value": "128"}],
    }
    return {
        "Resources": {
            "Ce": {"Type": "AWS::Batch::ComputeEnvironment", "Properties": ce_properties},
            "Queue": {"Type": "AWS::Batch::JobQueue", "Properties": queue},
            "Def": {
                "Type": "AWS::Batch::JobDefinition",
                "Properties": {"Type": "container", "ContainerProperties": container},
            },
        },
        "Outputs": {
            "Ce": {"Value": {"Ref": "Ce"}},
            "CeArn": {"Value": {"Fn::GetAtt": ["Ce", "ComputeEnvironmentArn"]}},
            "Queue": {"Value": {"Ref": "Queue"}},
            "QueueArn": {"Value": {"Fn::GetAtt": ["Queue", "JobQueueArn"]}},
            "Def": {"Value": {"Ref": "Def"}},
        },
    }


class Stack:
    def __init__(self, cloud: LocalCloud, name: str) -> None:
        self.name = name
        self.cloudformation = cloud.client("cloudformation")
        self.batch = cloud.client("batch")

    def deploy(self, body: dict[str, Any], *, update: bool = False) -> str:
        operation = self.cloudformation.update_stack if update else self.cloudformation.create_stack
        operation(StackName=self.name, TemplateBody=json.dumps(body))
        return self.settled()

    def settled(self) -> str:
        return str(
            wait_for(
                lambda: None if self.status().endswith("IN_PROGRESS") else self.status(),
                f"the end of the operation on {self.name}",
            )
        )

    def status(self) -> str:
        return str(self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])

    def outputs(self) -> dict[str, str]:
        (stack,) = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def reasons(self) -> str:
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)

    def delete(self) -> None:
        # By its id: a stack that is gone is no longer found by its name.
        stack_id = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        self.cloudformation.delete_stack(StackName=self.name)
        self.name = stack_id
        assert self.settled() == "DELETE_COMPLETE", self.reasons()

    def environments(self, *names: str) -> list[dict[str, Any]]:
        return list(
            self.batch.describe_compute_environments(computeEnvironments=list(names))["computeEnvironments"]
        )


def test_create_update_and_delete(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "lifecycle")
    assert stack.deploy(template()) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()
    assert first["Ce"] == first["CeArn"]
    assert first["Ce"].split("/")[-1].startswith("Ce-")
    assert first["Queue"] == first["QueueArn"]
    assert first["Def"].endswith(":1")

    changed = template(max_vcpus="8", command="false", priority=9)
    assert stack.deploy(changed, update=True) == "UPDATE_COMPLETE", stack.reasons()
    second = stack.outputs()
    assert (second["Ce"], second["Queue"]) == (first["Ce"], first["Queue"]), "updated in place"
    assert stack.environments(first["Ce"])[0]["computeResources"]["maxvCpus"] == 8
    (queue,) = stack.batch.describe_job_queues(jobQueues=[first["Queue"]])["jobQueues"]
    assert queue["priority"] == 9
    both = stack.batch.describe_job_definitions(jobDefinitions=[first["Def"], second["Def"]])[
        "jobDefinitions"
    ]
    assert {d["revision"]: d["status"] for d in both} == {1: "INACTIVE", 2: "ACTIVE"}

    stack.delete()
    assert stack.environments(first["Ce"]) == []
    assert stack.batch.describe_job_queues(jobQueues=[first["Queue"]])["jobQueues"] == []


def test_a_replaced_compute_environment_takes_its_queue_along(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "replacement")
    assert stack.deploy(template()) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()
    assert stack.deploy(template(Tags={"team": "media"}), update=True) == "UPDATE_COMPLETE", stack.reasons()
    second = stack.outputs()
    assert second["Ce"] != first["Ce"]
    assert second["Queue"] == first["Queue"]
    assert stack.environments(first["Ce"]) == [], stack.reasons()
    (queue,) = stack.batch.describe_job_queues(jobQueues=[first["Queue"]])["jobQueues"]
    assert [entry["computeEnvironment"] for entry in queue["computeEnvironmentOrder"]] == [second["Ce"]]
    stack.delete()


def test_a_failed_update_rolls_back_and_keeps_what_was(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "rollback")
    assert stack.deploy(template()) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()
    broken = template(command="false", Tags={"a": "b"})
    broken["Resources"]["Queue"]["Properties"]["Priority"] = "high"
    broken["Resources"]["Queue"]["DependsOn"] = ["Def"]
    assert stack.deploy(broken, update=True) == "UPDATE_ROLLBACK_COMPLETE", stack.reasons()
    assert "must be an integer, got 'high' at Properties.Priority" in stack.reasons()
    assert stack.environments(first["Ce"])[0]["status"] == "VALID"
    (kept,) = stack.batch.describe_job_definitions(jobDefinitions=[first["Def"]])["jobDefinitions"]
    assert kept["status"] == "ACTIVE"
    stack.delete()
    assert stack.environments(first["Ce"]) == []


def test_a_failed_creation_leaves_nothing_behind(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "failed")
    broken = template()
    broken["Resources"]["Queue"]["Properties"]["ComputeEnvironmentOrder"][0]["ComputeEnvironment"] = "no-such"
    broken["Resources"]["Queue"]["DependsOn"] = ["Ce", "Def"]
    before = len(stack.environments())
    assert stack.deploy(broken) == "ROLLBACK_COMPLETE"
    assert "no-such" in stack.reasons(), "AWS Batch's own words say what was wrong"
    assert len(stack.environments()) == before


def test_a_compute_environment_that_a_queue_outside_uses_is_not_deleted(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "attached")
    assert stack.deploy(template()) == "CREATE_COMPLETE", stack.reasons()
    ce = stack.outputs()["Ce"]
    order = [{"order": 1, "computeEnvironment": ce}]
    stack.batch.create_job_queue(jobQueueName="outside", priority=1, computeEnvironmentOrder=order)
    stack.cloudformation.delete_stack(StackName=stack.name)
    assert stack.settled() == "DELETE_FAILED"
    assert "found existing JobQueue relationship" in stack.reasons()

    stack.batch.update_job_queue(jobQueue="outside", state="DISABLED")
    stack.batch.delete_job_queue(jobQueue="outside")
    wait_for(lambda: not stack.batch.describe_job_queues(jobQueues=["outside"])["jobQueues"], "its deletion")
    stack.delete()


def test_a_custom_named_resource_that_must_be_replaced_fails_the_update(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "named")
    named = {"ComputeEnvironmentName": "its-own-name"}
    assert stack.deploy(template(**named)) == "CREATE_COMPLETE", stack.reasons()
    unsafe = template(**named, Tags={"any": "change"})
    assert stack.deploy(unsafe, update=True) == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot update a stack when a custom-named resource requires replacing" in stack.reasons()
    assert stack.environments("its-own-name")[0]["status"] == "VALID"
    stack.delete()


def test_replace_compute_environment_decides_what_an_infrastructure_update_is(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "infrastructure")
    body = template(ReplaceComputeEnvironment="true")
    compute = body["Resources"]["Ce"]["Properties"]["ComputeResources"]
    # Without a strategy it is BEST_FIT, which allows no infrastructure update.
    compute["AllocationStrategy"] = "BEST_FIT_PROGRESSIVE"
    assert stack.deploy(body) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()["Ce"]
    compute["InstanceTypes"] = ["c6i"]
    assert stack.deploy(body, update=True) == "UPDATE_COMPLETE", stack.reasons()
    second = stack.outputs()["Ce"]
    assert second != first
    body["Resources"]["Ce"]["Properties"]["ReplaceComputeEnvironment"] = "false"
    compute["InstanceTypes"] = ["r6i"]
    assert stack.deploy(body, update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Ce"] == second
    assert stack.environments(second)[0]["computeResources"]["instanceTypes"] == ["r6i"]
    stack.delete()


def sagemaker_template(
    total: int = 5, capacity: int = 2, resource_type: str = "REPLENISHABLE"
) -> dict[str, Any]:
    limits = [{"MaxCapacity": capacity, "CapacityUnit": "ml.m5.large"}]
    share = {
        "QuotaShareName": "team",
        "JobQueue": {"Ref": "Queue"},
        "CapacityLimits": limits,
        "ResourceSharingConfiguration": {"Strategy": "RESERVE"},
        "PreemptionConfiguration": {"InSharePreemption": "DISABLED"},
        "State": "ENABLED",
    }
    queue = {
        "Priority": 1,
        "JobQueueType": "SAGEMAKER_TRAINING",
        "SchedulingPolicyArn": {"Ref": "Policy"},
        "ServiceEnvironmentOrder": [{"Order": 1, "ServiceEnvironment": {"Ref": "Environment"}}],
    }
    environment = {"ServiceEnvironmentType": "SAGEMAKER_TRAINING", "CapacityLimits": limits}
    policy = {"QuotaSharePolicy": {"IdleResourceAssignmentStrategy": "FIFO"}}
    licences = {"ResourceType": resource_type, "TotalQuantity": total}
    return {
        "Resources": {
            "Licences": {"Type": "AWS::Batch::ConsumableResource", "Properties": licences},
            "Environment": {"Type": "AWS::Batch::ServiceEnvironment", "Properties": environment},
            "Policy": {"Type": "AWS::Batch::SchedulingPolicy", "Properties": policy},
            "Queue": {"Type": "AWS::Batch::JobQueue", "Properties": queue},
            "Share": {"Type": "AWS::Batch::QuotaShare", "Properties": share},
        },
        "Outputs": {
            "Licences": {"Value": {"Ref": "Licences"}},
            "Available": {"Value": {"Fn::GetAtt": ["Licences", "AvailableQuantity"]}},
            "Environment": {"Value": {"Fn::GetAtt": ["Environment", "ServiceEnvironmentArn"]}},
            "Share": {"Value": {"Fn::GetAtt": ["Share", "QuotaShareArn"]}},
        },
    }


def test_the_newer_resource_types_live_in_stacks_too(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "newer")
    assert stack.deploy(sagemaker_template()) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()
    assert first["Available"] == "5"
    assert first["Share"].endswith("/quota-share/team")
    changed = sagemaker_template(total=7, capacity=3)
    assert stack.deploy(changed, update=True) == "UPDATE_COMPLETE", stack.reasons()
    second = stack.outputs()
    assert {**second, "Available": ""} == {**first, "Available": ""}, "all in place"
    resource = stack.batch.describe_consumable_resource(consumableResource=first["Licences"])
    assert resource["totalQuantity"] == 7
    (environment,) = stack.batch.describe_service_environments(serviceEnvironments=[first["Environment"]])[
        "serviceEnvironments"
    ]
    assert environment["capacityLimits"][0]["maxCapacity"] == 3
    share = stack.batch.describe_quota_share(quotaShareArn=first["Share"])
    assert share["capacityLimits"][0]["maxCapacity"] == 3
    other = sagemaker_template(total=7, capacity=3, resource_type="NON_REPLENISHABLE")
    assert stack.deploy(other, update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Licences"] != first["Licences"], "another type is another resource"
    stack.delete()
    assert (
        stack.batch.describe_service_environments(serviceEnvironments=[first["Environment"]])[
            "serviceEnvironments"
        ]
        == []
    )


def test_a_resource_type_that_nobody_provides_is_refused_by_name(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "unknown")
    body = json.dumps({"Resources": {"X": {"Type": "AWS::Batch::NoSuchType", "Properties": {}}}})
    with pytest.raises(stack.cloudformation.exceptions.ClientError, match="AWS::Batch::NoSuchType"):
        stack.cloudformation.create_stack(StackName=stack.name, TemplateBody=body)
