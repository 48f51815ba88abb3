"""What an update of a Fargate compute environment may not even name."""

import pytest

from batch_engine.core.model.errors import ClientError

FARGATE = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["s"], "securityGroupIds": ["g"]}


@pytest.mark.parametrize(
    "update",
    [
        {"updatePolicy": {}},
        {"updatePolicy": {"jobExecutionTimeoutMinutes": 30}},
        {"computeResources": {"updateToLatestImageVersion": False}},
        {"computeResources": {"placementGroup": ""}},
    ],
)
def test_fargate_refuses_members_that_it_does_not_have(world, update):
    arn = world.call(
        "CreateComputeEnvironment", computeEnvironmentName="ce", type="MANAGED", computeResources=FARGATE
    )["computeEnvironmentArn"]
    changes = {"maxvCpus": 8} | update.get("computeResources", {})
    with pytest.raises(
        ClientError, match="The following parameters can't be updated for Fargate compute env"
    ):
        world.call(
            "UpdateComputeEnvironment", computeEnvironment=arn, **(update | {"computeResources": changes})
        )
    world.call("UpdateComputeEnvironment", computeEnvironment=arn, computeResources={"maxvCpus": 8})
    (shown,) = world.call("DescribeComputeEnvironments")["computeEnvironments"]
    assert shown["computeResources"]["maxvCpus"] == 8
