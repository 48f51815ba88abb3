"""What compute environments may ask for and what an update may change, one table row a rule."""

import pytest

from batch_engine.core.api.environment_checks import architecture_of
from batch_engine.core.model.errors import ClientError

SPOT = {"type": "SPOT", "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}


def create(world, name="ce", role=None, **changes):
    wire = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 8,
        "instanceTypes": ["m6g"],
        "instanceRole": "r",
        **changes,
    }
    request = {"computeEnvironmentName": name, "type": "MANAGED", "computeResources": wire}
    if role:
        request["serviceRole"] = role
    return world.call("CreateComputeEnvironment", **request)["computeEnvironmentArn"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"allocationStrategy": "ODD"}, "allocationStrategy must be one of"),
        ({"allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"}, "is only for SPOT, got type EC2"),
        (
            {"type": "SPOT", "allocationStrategy": "BEST_FIT_PROGRESSIVE_ORDERED"},
            "is only for EC2, got type SPOT",
        ),
        ({"type": "SPOT"}, "spotIamFleetRole is required for SPOT"),
        ({"scalingPolicy": {"minScaleDownDelayMinutes": 19}}, "must be 0 or between 20 and 10080, got 19"),
        ({"instanceTypes": ["m6i", "m6g"]}, "must be of one CPU architecture"),
        (
            {"ec2Configuration": [{"imageType": "ODD"}]},
            "Invalid imageType in ComputeResources.ec2Configuration",
        ),
        ({"launchTemplate": {"version": "1"}}, "either launchTemplateId or launchTemplateName"),
        (
            {
                "launchTemplate": {
                    "launchTemplateId": "lt-1",
                    "overrides": [{"launchTemplateId": "lt-2"}] * 11,
                }
            },
            "at most 10 overrides, got 11",
        ),
        ({**SPOT, "bidPercentage": 101}, "bidPercentage must be between 0 and 100, got 101"),
    ],
)
def test_refused_at_creation(world, changes, message):
    with pytest.raises(ClientError) as caught:
        create(world, **changes)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("before", "changes", "message"),
    [
        (
            {},
            {"instanceTypes": ["c6g"]},
            "allocationStrategy BEST_FIT does not support infrastructure updates",
        ),
        (SPOT, {"allocationStrategy": "BEST_FIT"}, "cannot be updated to BEST_FIT"),
        (SPOT, {"type": "FARGATE"}, "type cannot be changed from SPOT to FARGATE"),
        ({**SPOT, "role": "arn:aws:iam::1:role/own"}, {"instanceTypes": ["c6g"]}, "without the service role"),
    ],
)
def test_refused_at_update(world, before, changes, message):
    create(world, **before)
    with pytest.raises(ClientError) as caught:
        world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources=changes)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "changes", [{"maxvCpus": 16}, {"minvCpus": 1}, {"scalingPolicy": {"minScaleDownDelayMinutes": 20}}]
)
def test_scaling_update_is_taken_with_any_strategy_and_role(world, changes):
    create(world, role="arn:aws:iam::1:role/own")
    world.call("UpdateComputeEnvironment", computeEnvironment="ce", computeResources=changes)


def test_service_role_stays_of_its_kind(world):
    create(world)
    with pytest.raises(ClientError, match="cannot move between a service-linked role and another"):
        world.call("UpdateComputeEnvironment", computeEnvironment="ce", serviceRole="arn:aws:iam::1:role/own")


@pytest.mark.parametrize("minutes", [0, 7201])
def test_update_policy_range(world, minutes):
    create(world)
    with pytest.raises(ClientError, match="must be between 1 and 7200"):
        world.call(
            "UpdateComputeEnvironment",
            computeEnvironment="ce",
            updatePolicy={"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": minutes},
        )


def test_one_architecture_a_queue(world):
    arm, intel = create(world, "arm"), create(world, "intel", instanceTypes=["m6i"])
    with pytest.raises(ClientError, match="one CPU architecture"):
        world.queue("q", arm, intel)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m6g.large", "arm64"),
        ("c7gn", "arm64"),
        ("t4g", "arm64"),
        ("g5g.xlarge", "arm64"),
        ("default_arm64", "arm64"),
        ("m6i", "x86_64"),
        ("g4dn.xlarge", "x86_64"),
        ("g6e", "x86_64"),
        ("optimal", "x86_64"),
        ("p6-b200.48xlarge", "x86_64"),
    ],
)
def test_architecture_of_a_name(name, expected):
    assert architecture_of(name) == expected
