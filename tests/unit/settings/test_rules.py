"""Rules over values, which settings and constructs share: each adds its path."""

import pytest

from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.compute.ec2 import OnDemandSettings, SpotSettings
from batch_stack.settings.compute.kinds import FargateSettings, UnmanagedSettings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.nodes import NodeGroupSettings, NodesSettings
from batch_stack.settings.retry import RetrySettings, policy_of_definition, policy_of_submission
from batch_stack.settings.tiers import (
    FairShareSettings,
    TierSettings,
    budget_problems,
    compute_problems,
)
from batch_stack.settings.volumes import EfsVolumeSettings

IMAGE = "busybox:1"
COMPUTE: dict[str, ComputeSettings] = {
    "spot": SpotSettings(),
    "demand": OnDemandSettings(),
    "arm": OnDemandSettings(instance_types=["m7g"]),
    "tasks": FargateSettings(),
    "own": UnmanagedSettings(),
}


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (["spot", "demand"], []),
        (["spot", "spot"], ["compute[1] must differ from those before it, got 'spot' again"]),
        (
            ["spot", "tasks"],
            [
                "compute[1] must have the platform ec2 like spot, got 'tasks', which has fargate: a queue "
                "takes one platform only"
            ],
        ),
        (
            ["spot", "demand", "arm"],
            [
                "compute[2] must have the architecture x86_64 like spot, got 'arm', which has arm64: a queue "
                "takes one architecture only"
            ],
        ),
    ],
)
def test_a_queue_takes_what_is_alike(names: list[str], problems: list[str]) -> None:
    assert list(compute_problems(names, COMPUTE)) == problems


def test_a_budget_counts_what_is_tagged() -> None:
    assert list(budget_problems(["spot", "demand"], COMPUTE)) == []
    assert list(budget_problems(["spot", "own"], COMPUTE)) == [
        "compute[1] must be of type spot or on_demand in a tier with a budget, which counts instances and "
        "volumes by a tag of their launch template, got 'own', which is unmanaged"
    ]


def test_jobs_name_a_share_where_there_is_fair_share() -> None:
    plain = TierSettings(priority=1, compute=["c"])
    fair = TierSettings(priority=1, compute=["c"], fair_share=FairShareSettings(shares={"a": 1.0}))
    assert plain.share_problem(None, "t") is None
    assert fair.share_problem("a", "t") is None
    assert plain.share_problem("a", "t") == "share must not be given, because t has no fair_share"
    assert fair.share_problem(None, "t") == "share must be given, because t has fair_share"


def test_a_job_runs_where_its_platform_and_its_architecture_are() -> None:
    job = JobSettings(image=IMAGE)
    built = JobSettings(folder="tool")
    nodes = JobSettings(image=IMAGE, nodes=NodesSettings(count=2))
    assert job.incompatibility({"c": COMPUTE["tasks"]}) == ".platform is ec2"
    assert job.incompatibility({"c": COMPUTE["arm"]}, "x86_64") is None
    assert built.incompatibility({"c": COMPUTE["arm"]}) is None
    assert built.incompatibility({"c": COMPUTE["arm"]}, "x86_64") == " is made for x86_64"
    assert nodes.incompatibility({"d": COMPUTE["demand"]}) is None
    mixed = {"d": COMPUTE["demand"], "s": COMPUTE["spot"]}
    assert nodes.incompatibility(mixed) == ".nodes cannot run on spot compute (s)"
    assert nodes.incompatibility({"o": COMPUTE["own"]}) == ".nodes cannot run on unmanaged compute (o)"


def test_a_group_of_nodes_overrides_the_job() -> None:
    group = NodeGroupSettings(nodes="1:2", vcpu=8, command=["lead"], environment={"B": "group", "C": "group"})
    job = JobSettings(
        image=IMAGE,
        vcpu=2,
        memory_mib=512,
        command=["solve"],
        environment={"A": "job", "B": "job"},
        nodes=NodesSettings(count=4, groups=[group]),
    )
    own = job.for_group(group)
    assert (own.vcpu, own.memory_mib, own.gpus, own.command) == (8, 512, 0, ["lead"])
    assert own.environment == {"A": "job", "B": "group", "C": "group"}
    assert [node.vcpu for node in job.for_nodes()] == [2, 8, 8, 2]
    assert job.node_vcpus == [2, 8, 8, 2]
    single = JobSettings(image=IMAGE)
    assert single.for_nodes() == [single]


def test_a_definition_has_the_jobs_policy_or_the_most_attempts() -> None:
    default, many = RetrySettings(), RetrySettings(attempts=5)
    same = RetrySettings(attempts=5, exit_code=None)
    assert policy_of_definition(default, [many]) is default
    assert policy_of_definition(None, [default, many, same]) is many
    assert policy_of_definition(None, []) == default


def test_a_submission_names_the_tiers_policy_only_where_it_differs() -> None:
    default, many = RetrySettings(), RetrySettings(attempts=5)
    assert policy_of_submission(None, many, default, "ec2") is default
    assert policy_of_submission(None, many, RetrySettings(attempts=5), "ec2") is None
    assert policy_of_submission(default, default, many, "ec2") is None


def test_names_that_do_not_exist_are_found_by_field() -> None:
    volume = EfsVolumeSettings(path="/data", access_point="refrence")
    elsewhere = EfsVolumeSettings(path="/other", access_point="fsap-1", file_system_id="fs-1")
    arn = "arn:aws:batch:eu-west-1:123456789012:consumable-resource/seats"
    job = JobSettings(
        image=IMAGE,
        volumes={"data": volume, "other": elsewhere},
        consumable_resources={"seat": 1, "seats": 1, arn: 1},
    )
    assert list(job.unknown_access_points(["reference"])) == [
        "volumes.data.access_point must be one of storage.file_system.access_points, reference, got "
        "'refrence' (did you mean reference?)"
    ]
    assert list(job.unknown_consumable_resources(["seats"])) == [
        "consumable_resources must name one of seats, or an ARN, got 'seat' (did you mean seats?)"
    ]
    assert list(job.unknown_access_points(["reference", "refrence"])) == []
