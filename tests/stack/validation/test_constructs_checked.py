"""Tiers and jobs that are used alone are checked like those of a platform."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.compute.ec2 import OnDemandSettings, SpotSettings
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetryRule, RetrySettings
from batch_stack.settings.tiers import TierSettings

pytestmark = pytest.mark.stack

IMAGE = "public.ecr.aws/docker/library/busybox:1"
COMPUTE = {
    "small": OnDemandSettings(instance_types=["c6i.large"], max_vcpus=4),
    "large": OnDemandSettings(instance_types=["m6i.4xlarge"], max_vcpus=64),
    "gpu": OnDemandSettings(instance_types=["g5.xlarge"], max_vcpus=64),
    "spot": SpotSettings(),
}


class Alone:
    """A stack with one tier for each compute environment, none of which a platform knows."""

    def __init__(self, cdk: Any, app: Any) -> None:
        self.cdk = cdk
        self.stack = cdk.Stack(app, "alone")
        network = batch_stack.Network(self.stack, "Network")
        self.compute = {
            name: batch_stack.Ec2ComputeEnvironment(
                self.stack, name.capitalize(), network=network, settings=settings
            )
            for name, settings in COMPUTE.items()
        }
        self.tiers = {name: self.tier(f"{name}Tier", name) for name in COMPUTE}

    def tier(self, construct_id: str, compute: str, **settings: Any) -> Any:
        return batch_stack.PriorityTier(
            self.stack,
            construct_id,
            compute_environments=self.compute,
            settings=TierSettings(priority=1, compute=[compute], **settings),
        )

    def job(self, construct_id: str, *tiers: str, **settings: Any) -> Any:
        return batch_stack.ContainerJob(
            self.stack,
            construct_id,
            name=construct_id.lower(),
            settings=JobSettings(image=IMAGE, **settings),
            tiers=[self.tiers[tier] for tier in tiers],
        )

    def warnings(self, construct: Any) -> list[str]:
        return warnings(construct)


def warnings(construct: Any) -> list[str]:
    return [str(one.data) for one in construct.node.metadata if one.type == "aws:cdk:warning"]


@pytest.fixture(scope="module")
def alone(cdk: Any, new_app: Callable[[], Any]) -> Alone:
    return Alone(cdk, new_app())


REFUSED: list[tuple[list[str], dict[str, Any], str]] = [
    (
        ["small"],
        {"vcpu": 400, "memory_mib": 9_999_999},
        "jobs.j0.vcpu must be at most 2 to fit an instance of compute.alone/Small, which "
        "tiers.alone/smallTier uses, got 400 at alone/J0",
    ),
    (
        ["small"],
        {"gpus": 4},
        "jobs.j1.gpus must be 0 .* which tiers.alone/smallTier uses, .*got 4 at alone/J1",
    ),
    # One of its tiers does not do: each that is given must.
    (["large", "small"], {"vcpu": 4}, "jobs.j2.vcpu must be at most 2 to fit an instance of compute.alone/S"),
    (
        ["large"],
        {"retry": RetrySettings(rules=[RetryRule(action="exit", on_exit_code="256")])},
        r"jobs.j3.retry.rules\[0\].on_exit_code must be a number between 0 and 255",
    ),
    (
        ["small"],
        {"platform": "fargate"},
        r"tier must be one that can run the job, because jobs\.j4\.platform is fargate, got 'smallTier' at "
        "alone/J4",
    ),
    (
        ["small"],
        {"tiers": ["smallTier", "bulk"]},
        r"settings.tiers\[1\] must be the name of one of tiers, smallTier, got 'bulk' at alone/J5",
    ),
    (
        [],
        {"tiers": ["bulk"]},
        r"settings.tiers\[0\] must be the name of one of tiers, \(none given\), got 'b",
    ),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_job_that_one_of_its_tiers_could_not_run_is_refused(number: int, alone: Alone) -> None:
    tiers, settings, message = REFUSED[number]
    with pytest.raises(ValueError, match=message):
        alone.job(f"J{number}", *tiers, **settings)


def test_what_may_only_disappoint_is_a_warning_of_the_job(alone: Alone) -> None:
    single = RetrySettings(attempts=1)
    (text,) = alone.warnings(alone.job("Once", "spot", timeout_s=600, retry=single))
    assert text.startswith("jobs.once.retry.attempts is 1, and tiers.alone/spotTier uses Spot capacity")
    assert "[ack: batch-stack:spotRetry:jobs.once.retry.attempts]" in text
    tier = alone.tier("Hasty", "spot", retry=RetrySettings(attempts=1))
    job = batch_stack.ContainerJob(
        alone.stack,
        "Hurried",
        name="hurried",
        settings=JobSettings(image=IMAGE, timeout_s=600),
        tiers=[tier],
    )
    (text,) = alone.warnings(job)
    assert text.startswith(
        "jobs.hurried has 1 attempt by tiers.alone/Hasty.retry, and tiers.alone/Hasty uses "
    )
    (text,) = alone.warnings(alone.job("Idle", "gpu", timeout_s=600))
    assert text.startswith("jobs.idle.gpus is 0, but tiers.alone/gpuTier has GPU instances only")
    assert alone.warnings(alone.job("Fine", "spot", "large", timeout_s=600)) == []


def test_what_gives_leave_to_submit_is_checked_with_that_tier(alone: Alone) -> None:
    role = alone.cdk.aws_iam.Role(
        alone.stack, "Role", assumed_by=alone.cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com")
    )
    job = alone.job("Eight", "large", vcpu=8, timeout_s=600)
    job.grant_submit(role)
    with pytest.raises(ValueError, match=r"jobs\.eight\.vcpu must be at most 2 to fit .* at alone/Eight"):
        job.grant_submit(role, alone.tiers["small"])
    with pytest.raises(ValueError, match=r"jobs\.eight\.vcpu must be at most 2 to fit .* at alone/Eight"):
        batch_stack.ObjectTrigger(
            alone.stack,
            "Trigger",
            bucket=alone.cdk.aws_s3.Bucket(alone.stack, "In", event_bridge_enabled=True),
            output_bucket=alone.cdk.aws_s3.Bucket(alone.stack, "Out"),
            tier=alone.tiers["small"],
            job=job,
        )


def test_a_tier_alone_is_checked_with_its_compute_environments(alone: Alone) -> None:
    rules = RetrySettings(
        rules=[RetryRule(action="retry", on_status_reason="Your Spot Task was interrupted*")]
    )
    with pytest.raises(
        ValueError, match=r"tiers\.alone/Odd\.retry\.rules\[0\]\.on_status_reason must .*/Odd$"
    ):
        alone.tier("Odd", "large", retry=rules)
    settings = SpotSettings(instance_types=["m6i.large", "c6i.large"])
    network = batch_stack.Network(alone.stack, "OtherNetwork")
    alone.compute["few"] = batch_stack.Ec2ComputeEnvironment(
        alone.stack, "Few", network=network, settings=settings
    )
    (text,) = alone.warnings(alone.tier("FewTier", "few"))
    assert text.startswith("compute.alone/Few.instance_types comes to 2 instance types within max_vcpus")
    assert alone.warnings(alone.tiers["spot"]) == []


def test_a_platform_says_what_it_has_found_once(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = cdk.Stack(new_app(), "checked")
    content = {
        "compute": {"c": {"type": "spot", "instance_types": ["m6i.large", "c6i.large"]}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
        "jobs": {"a": {"image": IMAGE, "retry": {"attempts": 1}, "tiers": ["t"], "timeout_s": 600}},
    }
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=parse_settings(content, source="t"))
    found = [one for construct in platform.node.find_all() for one in warnings(construct)]
    assert found == []
    import_module("aws_cdk.assertions").Annotations.from_stack(stack)
    assert [text.partition(" ")[0] for text in warnings(platform.compute["c"])] == ["t:"]
    assert [text.partition(" ")[0] for text in warnings(platform.jobs["a"])] == ["t:"]
    assert warnings(platform) == warnings(platform.tiers["t"]) == []

    # What others put under it has settings that it does not know, even if they are the same.
    tier = platform.tiers["t"]
    with pytest.raises(ValueError, match=r"^jobs\.extra\.vcpu must be .* at checked/Batch/Extra$"):
        batch_stack.ContainerJob(
            platform, "Extra", name="extra", settings=JobSettings(image=IMAGE, vcpu=99), tiers=[tier]
        )
    (text,) = warnings(
        batch_stack.ContainerJob(
            platform, "Copy", name="a", settings=platform.settings.jobs["a"].model_copy(), tiers=[tier]
        )
    )
    assert text.startswith("jobs.a.retry.attempts is 1, and tiers.checked/Batch/TTier uses Spot capacity")
    under = batch_stack.PriorityTier(
        platform, "Under", compute_environments=platform.compute, settings=tier.settings.model_copy()
    )
    (text,) = warnings(under)
    assert text.startswith("compute.checked/Batch/CCompute.instance_types comes to 2 instance types within")


def test_a_job_that_is_added_to_a_platform_is_checked_by_it_alone(
    cdk: Any, new_app: Callable[[], Any]
) -> None:
    content = {
        "compute": {"c": {"type": "spot"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
        "jobs": {"a": {"image": IMAGE, "timeout_s": 600}},
    }
    stack = cdk.Stack(new_app(), "grown")
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=parse_settings(content, source="t"))
    once = RetrySettings(attempts=1)
    job = platform.add_job("b", JobSettings(image=IMAGE, timeout_s=600, retry=once, tiers=["t"]))
    import_module("aws_cdk.assertions").Annotations.from_stack(stack)
    (text,) = warnings(job)
    assert text.startswith("t: jobs.b.retry.attempts is 1")
    assert warnings(platform) == []
