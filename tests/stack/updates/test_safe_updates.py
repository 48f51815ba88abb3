"""What CloudFormation does with edits of the settings, told from the two templates: none loses a job.

Each row is an edit that a team makes. Its outcome is one of three: resources change in place, what holds no
jobs and no data is replaced, or synthesis refuses the edit and says what to do instead.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from batch_stack.lock.check import check_against_lock
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from tests.cloudformation_changes import COMPUTE_ENVIRONMENT, JOB_DEFINITION, Change, changes

pytestmark = pytest.mark.stack

Synth = Callable[[Mapping[str, Any]], dict[str, Any]]

# What must outlive every edit: it holds jobs, or data that nobody could bring back.
PRECIOUS = {
    COMPUTE_ENVIRONMENT,
    "AWS::Batch::ConsumableResource",
    "AWS::Batch::JobQueue",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::RDS::DBCluster",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}

IMAGE = "public.ecr.aws/docker/library/busybox"
PRIVATE_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/busybox"
BASE: dict[str, Any] = {
    "compute": {
        "spot": {"type": "spot", "instance_types": ["m6i", "c6i", "r6i", "m6a", "c6a"]},
        "on_demand": {"type": "on_demand", "instance_types": ["m6i", "c6i"]},
        "fargate": {"type": "fargate"},
    },
    "consumable_resources": {"licence": {"total": 2}},
    "tiers": {
        "high": {"priority": 20, "compute": ["spot", "on_demand"]},
        "low": {"priority": 10, "compute": ["spot"]},
        "serverless": {"priority": 5, "compute": ["fargate"]},
        "shared": {"priority": 15, "compute": ["on_demand"], "fair_share": {"shares": {"team": 1.0}}},
    },
    "jobs": {
        "work": {"image": f"{IMAGE}:1", "tiers": ["high", "low"]},
        "small": {"image": f"{IMAGE}:1", "platform": "fargate"},
    },
    "triggers": {"work": {"job": "work", "tier": "high", "prefix": "in/"}},
}

Edit = dict[str, Any]
_DROP = object()


def _edited(edit: Edit, base: Mapping[str, Any] = BASE) -> dict[str, Any]:
    """The base with some fields set, by their paths: {"tiers.low.priority": 3}."""
    settings = copy.deepcopy(dict(base))
    for path, value in edit.items():
        *parents, last = path.split(".")
        node = settings
        for part in parents:
            node = node.setdefault(part, {})
        if value is _DROP:
            del node[last]
        else:
            node[last] = value
    return settings


@pytest.fixture
def update(synth: Synth, tmp_path: Path) -> Callable[..., dict[str, Change]]:
    """Synthesises before and after an edit, as one who keeps a lock file does; returns what happens."""

    def run(edit: Edit, base: Mapping[str, Any] = BASE) -> dict[str, Change]:
        lock = tmp_path / "batch.lock.json"
        check_against_lock(parse_settings(base, source="before"), lock, create=True)
        after = _edited(edit, base)
        check_against_lock(parse_settings(after, source="after"), lock)
        return changes(synth(base), synth(after))

    return run


def _of_interest(found: Mapping[str, Change]) -> dict[str, str]:
    """Changes of what holds jobs, without the hashes of logical ids."""
    return {
        change.logical_id[:-8]: change.kind
        for change in found.values()
        if change.type in (COMPUTE_ENVIRONMENT, JOB_DEFINITION, "AWS::Batch::JobQueue")
    }


def _loses(change: Change) -> bool:
    # EC2 deletes no subnet that anything still runs in; the update ends, and the subnet stays.
    return change.kind == "replaced" or (change.kind == "removed" and change.type != "AWS::EC2::Subnet")


SPOT, ON_DEMAND, HIGH, WORK = "SpotCompute", "OnDemandCompute", "HighTierQueue", "WorkJobDefinition"

EDITS: dict[str, tuple[Edit, dict[str, str]]] = {
    "other instance types": ({"compute.spot.instance_types": ["m7i", "c7i", "r7i"]}, {SPOT: "in place"}),
    "more vCPUs": ({"compute.spot.max_vcpus": 256}, {SPOT: "in place"}),
    "fewer vCPUs": ({"compute.spot.max_vcpus": 16}, {SPOT: "in place"}),
    "instances kept warm": ({"compute.on_demand.min_vcpus": 8}, {ON_DEMAND: "in place"}),
    "GPU instances, and with them another image type": (
        {"compute.on_demand.instance_types": ["g6", "g5"]},
        {ON_DEMAND: "in place"},
    ),
    "a larger disk, in the launch template": ({"compute.spot.ebs_gib": 200}, {SPOT: "in place"}),
    "Spot becomes On-Demand": ({"compute.spot.type": "on_demand"}, {SPOT: "in place"}),
    "On-Demand becomes Spot": ({"compute.on_demand.type": "spot"}, {ON_DEMAND: "in place"}),
    "more Fargate": ({"compute.fargate.max_vcpus": 64}, {"FargateCompute": "in place"}),
    "a placement group": ({"compute.on_demand.placement_group": True}, {ON_DEMAND: "in place"}),
    "another compute environment": (
        {"compute.more": {"type": "on_demand"}, "tiers.high.compute": ["spot", "on_demand", "more"]},
        {"MoreCompute": "added", HIGH: "in place"},
    ),
    "another image": ({"jobs.work.image": f"{IMAGE}:2"}, {WORK: "new revision"}),
    "another command": ({"jobs.work.command": ["echo", "Ref::input"]}, {WORK: "new revision"}),
    "another environment": ({"jobs.work.environment": {"LEVEL": "debug"}}, {WORK: "new revision"}),
    "more memory": ({"jobs.work.memory_mib": 4096}, {WORK: "new revision"}),
    "a longer timeout": ({"jobs.work.timeout_s": 7200}, {WORK: "new revision"}),
    "more attempts, by the tier": (
        {"tiers.high.retry": {"attempts": 7}},
        {WORK: "new revision"},
    ),
    "other retry rules": (
        {"jobs.work.retry": {"rules": [{"action": "retry", "on_status_reason": "Host EC2*"}]}},
        {WORK: "new revision"},
    ),
    "another user": ({"jobs.work.user": "1000"}, {WORK: "new revision"}),
    "a consumable resource for a job": (
        {"jobs.work.consumable_resources": {"licence": 1}},
        {WORK: "new revision"},
    ),
    "more of a consumable resource": ({"consumable_resources.licence.total": 9}, {}),
    "another job": (
        {"jobs.other": {"image": f"{IMAGE}:1", "tiers": ["low"]}},
        {"OtherJobDefinition": "added"},
    ),
    "another tier": (
        {"tiers.urgent": {"priority": 90, "compute": ["on_demand"]}},
        {"UrgentTierQueue": "added"},
    ),
    "another priority": ({"tiers.high.priority": 30}, {HIGH: "in place"}),
    "another order of compute environments": (
        {"tiers.high.compute": ["on_demand", "spot"]},
        {HIGH: "in place"},
    ),
    "a compute environment removed from a tier": ({"tiers.high.compute": ["spot"]}, {HIGH: "in place"}),
    "a shorter time limit": (
        {"tiers.high.time_limits": {"job_resource_requirement_s": 1200}},
        {HIGH: "in place"},
    ),
    "a tier that takes no more jobs": ({"tiers.low.state": "disabled"}, {"LowTierQueue": "in place"}),
    "other weights of a fair share": ({"tiers.shared.fair_share.shares": {"team": 2.0, "b": 1.0}}, {}),
    "all data encrypted with a KMS key of the platform": ({"storage.kms": True}, {}),
    "scratch space, a log of accesses": (
        {"storage.scratch_expiry_days": 7, "storage.access_logs": True},
        {},
    ),
    "a table of results, for one job": (
        {"results.job_table": True, "jobs.work.uses": ["input_bucket", "output_bucket", "job_table"]},
        {WORK: "new revision"},
    ),
    "a service removed from a job": ({"jobs.work.uses": ["input_bucket"]}, {WORK: "new revision"}),
    "a budget that closes the queue, whose instances are its own": (
        {
            "compute.own": {"type": "on_demand"},
            "tiers.low.compute": ["own"],
            "tiers.low.budget": {"usd_per_month": 100, "on_exceeded": "disable_queue"},
        },
        {"OwnCompute": "added", "LowTierQueue": "in place"},
    ),
    "a file system and a database, in subnets of their own": (
        {"storage.file_system": {"access_points": {"all": {"path": "/all"}}}, "results.database": {}},
        {},
    ),
    "a queue of work and a bus, for one job": (
        {
            "messaging": {"event_bus": True, "work_queue": True},
            "jobs.small.uses": ["event_bus", "work_queue"],
        },
        {"SmallJobDefinition": "new revision"},
    ),
    "logs kept longer": ({"log_retention_days": 365}, {}),
    "a receiver of messages": ({"notifications.emails": ["ops@example.com"]}, {}),
    "a schedule": (
        {"schedules.nightly": {"expression": "cron(0 3 * * ? *)", "job": "work", "tier": "low"}},
        {},
    ),
    "another prefix": ({"triggers.work.prefix": "other/"}, {}),
    "private subnets": (
        {"network": {"mode": "private_with_nat"}},
        # Fargate jobs in public subnets have a public address, and in private ones none.
        {
            SPOT: "in place",
            ON_DEMAND: "in place",
            "FargateCompute": "in place",
            "SmallJobDefinition": "new revision",
        },
    ),
    "isolated subnets, with images of ECR": (
        {
            "network": {"mode": "isolated"},
            "jobs.work.image": f"{PRIVATE_IMAGE}:1",
            "jobs.small.image": f"{PRIVATE_IMAGE}:1",
        },
        {
            SPOT: "in place",
            ON_DEMAND: "in place",
            "FargateCompute": "in place",
            WORK: "new revision",
            "SmallJobDefinition": "new revision",
        },
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_keeps_what_holds_jobs_and_data(name: str, update: Callable[..., dict[str, Change]]) -> None:
    edit, expected = EDITS[name]

    found = update(edit)

    interesting = _of_interest(found)
    assert {one: kind for one, kind in interesting.items() if expected.get(one) != kind} == {}
    assert interesting.keys() == expected.keys()
    assert [one for one in found.values() if one.type in PRECIOUS and _loses(one)] == []
    assert found, "an edit that changes nothing tests nothing"


REFUSED: dict[str, tuple[Edit, str]] = {
    "a tier is renamed": (
        {
            "tiers.low": _DROP,
            "tiers.slow": {"priority": 10, "compute": ["spot"]},
            "jobs.work.tiers": ["high"],
        },
        "A new name is a new tier: add it with another priority",
    ),
    "a tier is removed": (
        {"tiers.low": _DROP, "jobs.work.tiers": ["high"]},
        "set tiers.low.state to disabled and deploy",
    ),
    "a compute environment is removed": (
        {"compute.fargate": _DROP, "tiers.serverless": _DROP, "jobs.small": _DROP},
        "compute must have 'fargate', which tiers.serverless uses as deployed",
    ),
    "Fargate becomes Fargate Spot": (
        {"compute.fargate.type": "fargate_spot"},
        "compute.fargate.type must be fargate, got 'fargate_spot'",
    ),
    "fair share for a queue that has none": (
        {"tiers.low.fair_share": {"shares": {"a": 1.0}}},
        "tiers.low must not have fair_share, as deployed",
    ),
    "fair share removed from a queue": (
        {"tiers.shared.fair_share": _DROP},
        "tiers.shared must have fair_share, as deployed",
    ),
    "a consumable resource of the other kind": (
        {"consumable_resources.licence.replenishable": False},
        "consumable_resources.licence.replenishable must be true, got false",
    ),
    "a budget for a tier that shares its instances": (
        {"tiers.low.budget": {"usd_per_month": 100}},
        "tiers.low.compute[0] must be used by no other tier in a tier with a budget",
    ),
    "two tiers with budgets on the same instances": (
        {
            "compute.own": {"type": "on_demand"},
            "tiers.low.compute": ["own"],
            "tiers.low.budget": {"usd_per_month": 100},
            "tiers.more": {"priority": 1, "compute": ["own"], "budget": {"usd_per_month": 50}},
        },
        "tiers.more.compute[0] must be used by no other tier in a tier with a budget, which cannot tell "
        "whose instances they are, got 'own', which tiers.low uses",
    ),
    "EC2 and Fargate in one queue": (
        {"tiers.high.compute": ["spot", "fargate"]},
        "tiers.high.compute[1] must have the platform ec2 like spot",
    ),
    "EFA for a compute environment that has none": (
        {
            "compute.on_demand.instance_types": ["c6in.32xlarge"],
            "compute.on_demand.max_vcpus": 256,
            "compute.on_demand.placement_group": True,
            "compute.on_demand.efa": True,
        },
        "compute.on_demand.efa must be false, as deployed",
    ),
    "another architecture for one of two": (
        {"compute.on_demand.instance_types": ["m7g"]},
        "tiers.high.compute[1] must have the architecture x86_64 like spot",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_edit_that_would_lose_jobs_is_refused_with_advice(
    name: str, update: Callable[..., dict[str, Change]]
) -> None:
    edit, advice = REFUSED[name]
    with pytest.raises(SettingsError) as refused:
        update(edit)
    assert advice in str(refused.value)


def test_a_tier_is_removed_once_it_was_disabled_and_retired(update: Callable[..., dict[str, Change]]) -> None:
    disabled = _edited({"tiers.low.state": "disabled", "jobs.work.tiers": ["high"]})
    with pytest.warns(UserWarning, match="tiers.low is retired"):
        found = update({"tiers.low": _DROP, "retired": {"tiers": ["low"]}}, disabled)
    assert _of_interest(found) == {"LowTierQueue": "removed"}


def test_there_are_enough_edits_to_call_it_a_guarantee() -> None:
    assert len(EDITS) + len(REFUSED) >= 25


OLD: dict[str, Any] = {
    "Resources": {
        "Queue": {"Type": "AWS::Batch::JobQueue", "Properties": {"JobQueueName": "a", "Priority": 1}},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {"Name": {"Ref": "Queue"}, "State": "ENABLED"},
        },
        "Environment": {
            "Type": COMPUTE_ENVIRONMENT,
            "Properties": {"Type": "MANAGED", "ComputeResources": {"InstanceTypes": ["m5"]}},
        },
        "Logs": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain"},
    }
}


class TestTheTeller:
    """The judge itself: what it calls a replacement is one."""

    def _change(self, resource: str, path: str, value: Any) -> dict[str, str]:
        new = copy.deepcopy(OLD)
        node = new["Resources"][resource]["Properties"]
        *parents, last = path.split(".")
        for part in parents:
            node = node[part]
        node[last] = value
        return {name: change.kind for name, change in changes(OLD, new).items()}

    def test_a_create_only_property_replaces_and_what_refers_to_it_follows(self) -> None:
        assert self._change("Queue", "JobQueueName", "b") == {"Queue": "replaced", "Rule": "replaced"}

    def test_any_other_property_changes_in_place(self) -> None:
        assert self._change("Queue", "Priority", 2) == {"Queue": "in place"}

    def test_a_compute_environment_is_replaced_unless_it_is_told_not_to_be(self) -> None:
        path = "ComputeResources.InstanceTypes"
        assert self._change("Environment", path, ["m6i"]) == {"Environment": "replaced"}
        kept = copy.deepcopy(OLD)
        kept["Resources"]["Environment"]["Properties"]["ReplaceComputeEnvironment"] = False
        new = copy.deepcopy(kept)
        new["Resources"]["Environment"]["Properties"]["ComputeResources"] = {"InstanceTypes": ["m6i"]}
        assert changes(kept, new)["Environment"].kind == "in place"

    def test_what_leaves_the_template_is_removed_or_kept_behind(self) -> None:
        found = changes(OLD, {"Resources": {}})
        assert {name: change.kind for name, change in found.items()} == {
            "Queue": "removed",
            "Rule": "removed",
            "Environment": "removed",
            "Logs": "kept behind",
        }
