"""A compute environment of others, found by its ARN in Python."""

from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.tiers import TierSettings

pytestmark = pytest.mark.stack


def test_in_python_an_existing_environment_is_found_by_its_arn(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "found")
    arn = "arn:aws:batch:eu-west-1:111122223333:compute-environment/theirs"
    theirs = batch_stack.ExistingComputeEnvironment.from_arn(
        stack, "Theirs", arn, architecture="arm64", max_vcpus=2, instance_types=["m7g"]
    )
    assert (theirs.platform_capability, theirs.architecture) == ("ec2", "arm64")
    tier = batch_stack.PriorityTier(
        stack,
        "Tier",
        compute_environments={"theirs": theirs},
        settings=TierSettings(priority=1, compute=["theirs"]),
    )
    image = "public.ecr.aws/docker/library/busybox:1"
    small = batch_stack.ContainerJob(
        stack, "Small", name="small", settings=JobSettings(image=image), tiers=[tier]
    )
    assert small.tiers == (tier,)
    with pytest.raises(ValueError, match=r"jobs\.large\.vcpu must be at most 2 to fit "):
        batch_stack.ContainerJob(
            stack, "Large", name="large", settings=JobSettings(image=image, vcpu=4), tiers=[tier]
        )
    (queue,) = cdk.assertions.Template.from_stack(stack).find_resources("AWS::Batch::JobQueue").values()
    assert queue["Properties"]["ComputeEnvironmentOrder"] == [{"ComputeEnvironment": arn, "Order": 1}]
    with pytest.raises(SettingsError, match="arn must be the ARN of "):
        batch_stack.ExistingComputeEnvironment.from_arn(stack, "Other", "arn:aws:s3:::bucket")
