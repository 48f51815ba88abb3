"""What stacks delete and update while jobs run, against the engine itself."""

from collections.abc import Callable
from typing import Any

import pytest

from batch_engine import translation as cfn
from batch_engine.local.cloudformation.batch_resources import BatchResources
from batch_engine.local.cloudformation.resource import Resource, ResourceError
from tests.api_world import ApiWorld

EC2: dict[str, Any] = {
    "Type": "EC2",
    "AllocationStrategy": "BEST_FIT_PROGRESSIVE",
    "MinvCpus": 0,
    "MaxvCpus": 4,
    "InstanceTypes": ["m6i"],
    "Subnets": ["subnet-1"],
    "InstanceRole": "ecsInstanceRole",
}
FARGATE: dict[str, Any] = {
    "Type": "FARGATE",
    "MaxvCpus": 4,
    "Subnets": ["subnet-1"],
    "SecurityGroupIds": ["sg-1"],
}
SIZES = {
    "EC2": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}],
    "FARGATE": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
}


class Stacks:
    """Stack resources of a world in which time passes only while CloudFormation waits."""

    def __init__(self) -> None:
        self.world = ApiWorld()
        self.waits = 0
        self.while_waiting: Callable[[], None] = lambda: None
        self.resources = BatchResources(self.world, sleep=self._sleep, clock=lambda: float(self.waits))

    def _sleep(self, _: float) -> None:
        self.waits += 1
        self.while_waiting()

    def environment(self, compute: dict[str, Any]) -> Resource:
        return self.resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", _properties(compute))

    def running_job(self, platform: str, environment: str) -> tuple[str, str]:
        """A queue, and a job in it that runs."""
        order = [{"order": 1, "computeEnvironment": environment}]
        queue = self.world.ask("CreateJobQueue", jobQueueName="q", priority=1, computeEnvironmentOrder=order)[
            "jobQueueArn"
        ]
        container: dict[str, Any] = {"image": "i", "resourceRequirements": SIZES[platform]}
        if platform == "FARGATE":
            container["executionRoleArn"] = "arn:aws:iam::123456789012:role/any"
        self.world.ask(
            "RegisterJobDefinition",
            jobDefinitionName="d",
            type="container",
            platformCapabilities=[platform],
            containerProperties=container,
        )
        job = self.world.ask("SubmitJob", jobName="j", jobQueue=queue, jobDefinition="d")["jobId"]
        self.world.started()
        assert self.status(job) == "RUNNING"
        return queue, job

    def use_another(self, queue: str, compute: dict[str, Any]) -> None:
        """Take a queue away from its environment, as an edit does that removes the environment."""
        order = [{"order": 1, "computeEnvironment": self.environment(compute).physical_id}]
        self.world.ask("UpdateJobQueue", jobQueue=queue, computeEnvironmentOrder=order)

    def status(self, job: str) -> str:
        return str(self.world.ask("DescribeJobs", jobs=[job])["jobs"][0]["status"])

    def environments(self, arn: str) -> list[dict[str, Any]]:
        found = self.world.ask("DescribeComputeEnvironments", computeEnvironments=[arn])
        return list(found["computeEnvironments"])


def _properties(compute: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "MANAGED", "ReplaceComputeEnvironment": False, "ComputeResources": compute}


@pytest.fixture
def stacks() -> Stacks:
    return Stacks()


def test_a_fargate_environment_that_turns_invalid_is_not_waited_for(stacks: Stacks) -> None:
    arn = stacks.environment(FARGATE).physical_id
    queue, job = stacks.running_job("FARGATE", arn)
    stacks.use_another(queue, FARGATE)
    with pytest.raises(ResourceError, match="was not deleted: CLIENT_ERROR - Cannot delete, jobs are still"):
        stacks.resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)
    assert stacks.status(job) == "RUNNING"

    stacks.world.finished()
    assert stacks.status(job) == "SUCCEEDED"
    stacks.resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)
    assert stacks.environments(arn) == []


def test_an_environment_on_instances_is_gone_when_its_last_job_has_ended(stacks: Stacks) -> None:
    arn = stacks.environment(EC2).physical_id
    queue, job = stacks.running_job("EC2", arn)
    stacks.use_another(queue, EC2)

    def look() -> None:
        (environment,) = stacks.environments(arn)
        assert environment["status"] == "DELETING"
        assert stacks.status(job) == "RUNNING"
        if stacks.waits == 3:
            stacks.world.finished()

    stacks.while_waiting = look
    stacks.resources.delete(cfn.COMPUTE_ENVIRONMENT, arn)
    assert stacks.waits == 3
    assert stacks.environments(arn) == []
    assert stacks.status(job) == "SUCCEEDED"


def test_an_update_that_replaces_instances_waits_for_the_jobs_on_them(stacks: Stacks) -> None:
    arn = stacks.environment(EC2).physical_id
    _, job = stacks.running_job("EC2", arn)
    other = EC2 | {"InstanceTypes": ["c6i"]}

    def look() -> None:
        assert stacks.environments(arn)[0]["status"] == "UPDATING"
        assert stacks.status(job) == "RUNNING"
        # Half an hour, which is what a job is given, and what CloudFormation has to wait for.
        if stacks.waits == 1800:
            stacks.world.finished()

    stacks.while_waiting = look
    updated = stacks.resources.update(
        cfn.COMPUTE_ENVIRONMENT, arn, "Ce", _properties(EC2), _properties(other)
    )
    assert updated.physical_id == arn
    assert stacks.waits == 1800
    assert stacks.environments(arn)[0]["computeResources"]["instanceTypes"] == ["c6i"]
    assert stacks.status(job) == "SUCCEEDED"


def test_a_creation_that_fails_says_why_even_if_nothing_can_be_removed(stacks: Stacks) -> None:
    class NeverValid:
        """A service whose environments turn INVALID at once, and stay."""

        def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
            answer = stacks.world.call(operation, request)
            for environment in answer.get("computeEnvironments", []):
                environment |= {"status": "INVALID", "statusReason": "CLIENT_ERROR - no such role"}
            return answer

    resources = BatchResources(NeverValid(), sleep=lambda _: None)
    with pytest.raises(ResourceError, match="did not become VALID: CLIENT_ERROR - no such role"):
        resources.create(cfn.COMPUTE_ENVIRONMENT, "Ce", _properties(EC2))
