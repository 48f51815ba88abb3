"""Checks at synthesis: what is refused, what is warned of, and what is left in peace."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_engine.catalogue.instances import instance_types
from batch_stack.preflight.finding import Finding
from batch_stack.preflight.instances import AGENT_MEMORY_MIB
from batch_stack.preflight.network import GivenNetwork
from batch_stack.preflight.preflight import preflight
from batch_stack.settings.file import load_settings
from batch_stack.settings.root import Settings

ROOT = Path(__file__).resolve().parents[3]

ON_DEMAND = {"type": "on_demand", "instance_types": ["c6i.large", "m6i.xlarge"]}
GPU = {"type": "on_demand", "instance_types": ["g5.xlarge"]}
JOB: dict[str, Any] = {"image": "public.ecr.aws/docker/library/busybox:1"}


def _findings(
    job: dict[str, Any] | None = None,
    compute: dict[str, Any] = ON_DEMAND,
    retry: dict[str, Any] | None = None,
    **sections: Any,
) -> list[Finding]:
    tier = {"priority": 1, "compute": ["c"], **({"retry": retry} if retry else {})}
    content = {
        "compute": {"c": compute},
        "tiers": {"t": tier},
        "jobs": {"j": {**JOB, "tiers": ["t"], **(job or {})}},
        **sections,
    }
    return preflight(Settings.model_validate(content))


def _messages(level: str, *args: Any, **kwargs: Any) -> list[str]:
    return [finding.message for finding in _findings(*args, **kwargs) if finding.level == level]


FITS = "to fit an instance of compute.c, which tiers.t uses"


@pytest.mark.parametrize(
    ("job", "compute", "message"),
    [
        (
            {"vcpu": 4, "memory_mib": 16384},
            ON_DEMAND,
            f"jobs.j.memory_mib must be at most 16352 (the agent keeps 32) {FITS}, got 16384",
        ),
        ({"vcpu": 8}, ON_DEMAND, f"jobs.j.vcpu must be at most 4 {FITS}, got 8"),
        ({"gpus": 2}, GPU, f"jobs.j.gpus must be at most 1 {FITS}, got 2"),
        (
            {"gpus": 1},
            ON_DEMAND,
            f"jobs.j.gpus must be 0 {FITS}, none of whose types has a GPU (or give it GPU types, such as "
            "g5 or g6, or take another tier), got 1",
        ),
        # Larger than the limit that is left, though its own type would do: then the limit is what is wrong.
        (
            {"memory_mib": 100_000},
            {"type": "on_demand", "instance_types": ["r6i"], "max_vcpus": 8},
            f"jobs.j.memory_mib must be at most 65504 (the agent keeps 32) {FITS} (or compute.c.max_vcpus at "
            "least 16, because r6i.4xlarge is large enough, but exceeds the limit of 8), got 100000",
        ),
        # A type that is larger than the compute environment may grow is no help.
        (
            {"vcpu": 4, "memory_mib": 2048},
            {**ON_DEMAND, "max_vcpus": 3},
            "jobs.j.vcpu must be at most 2 " + FITS + ", got 4",
        ),
    ],
)
def test_a_job_that_fits_no_instance_is_refused(
    job: dict[str, Any], compute: dict[str, Any], message: str
) -> None:
    if compute.get("max_vcpus") == 3:
        # The settings themselves already refuse this job, for the limit alone.
        with pytest.raises(ValueError, match="at most 3"):
            _findings(job, compute)
        return
    assert _messages("error", job, compute) == [message]


def test_an_environment_that_can_start_none_of_its_types_is_refused() -> None:
    (message,) = _messages("error", {"vcpu": 1}, {**ON_DEMAND, "max_vcpus": 1})
    assert message == (
        "compute.c.max_vcpus must be at least 2, the vCPUs of the smallest of its instance_types, got 1"
    )


# GPU families have rules of their own.
@given(st.sampled_from([one for one in instance_types() if not one.gpus]), st.integers(-64, 32))
def test_the_agents_memory_is_counted_for_every_type(item: Any, excess_mib: int) -> None:
    compute = {"type": "on_demand", "instance_types": [item.name], "max_vcpus": item.vcpus}
    memory_mib = item.memory_mib - AGENT_MEMORY_MIB + excess_mib
    errors = _messages("error", {"memory_mib": memory_mib}, compute)
    assert bool(errors) == (excess_mib > 0)


def test_a_job_that_leaves_the_kernel_no_memory_is_warned_of() -> None:
    (warned,) = _messages("warning", {"memory_mib": 16000})
    assert warned.startswith("jobs.j.memory_mib leaves an instance's kernel hardly any memory")
    assert _findings({"memory_mib": 14800}) == []


def test_the_larger_of_several_environments_is_enough() -> None:
    content = {
        "compute": {"small": ON_DEMAND, "large": {"type": "on_demand", "instance_types": ["m6i"]}},
        "tiers": {"t": {"priority": 1, "compute": ["small", "large"]}},
        "jobs": {"j": {**JOB, "vcpu": 32, "tiers": ["t"]}},
    }
    assert preflight(Settings.model_validate(content)) == []


def test_of_tiers_that_a_job_does_not_name_one_is_enough() -> None:
    content: dict[str, Any] = {
        "compute": {"small": ON_DEMAND, "gpu": GPU},
        "tiers": {"a": {"priority": 1, "compute": ["small"]}, "b": {"priority": 2, "compute": ["gpu"]}},
        "jobs": {"j": {**JOB, "gpus": 1}},
    }
    assert preflight(Settings.model_validate(content)) == []
    content["triggers"] = {"x": {"job": "j", "tier": "a"}}
    refused, warned = preflight(Settings.model_validate(content))
    assert (refused.level, refused.check, warned.check) == ("error", "jobFits", "triggerInput")
    assert "which tiers.a uses" in refused.message


def test_types_that_the_table_does_not_have_are_warned_of_and_stop_no_job() -> None:
    compute = {"type": "on_demand", "instance_types": ["zz9", "m6j"]}
    findings = _findings({"memory_mib": 1_000_000}, compute)
    assert [finding.check for finding in findings] == ["unknownInstanceType", "unknownInstanceType"]
    assert "did you mean m6i" in findings[1].message


def test_groups_of_nodes_are_checked_each() -> None:
    nodes = {"count": 2, "groups": [{"nodes": "1", "memory_mib": 99999}]}
    (message,) = _messages("error", {"nodes": nodes})
    assert message.startswith("jobs.j.nodes.groups[0].memory_mib must be at most 16352 ")


def test_all_nodes_of_a_job_must_fit_one_environment_at_once() -> None:
    (message,) = _messages("error", {"nodes": {"count": 17}, "vcpu": 4}, {**ON_DEMAND, "max_vcpus": 64})
    assert message.startswith("jobs.j.nodes must ask for at most 64 vCPUs in all, ")
    assert message.endswith(" of t, got 68")


@pytest.mark.parametrize(
    ("wanted", "refused"), [("m5.large", True), ("c6i", True), ("m6i.xlarge", False), (None, False)]
)
def test_nodes_ask_for_an_instance_type_that_there_is(wanted: str | None, refused: bool) -> None:
    messages = _messages("error", {"nodes": {"count": 2, "instance_type": wanted}})
    expected = (
        "jobs.j.nodes.instance_type must be an instance type of compute.c, no larger than its max_vcpus, "
        f"got {wanted!r}"
    )
    assert messages == ([expected] if refused else [])


def test_nodes_that_could_not_connect_to_each_other_are_warned_of() -> None:
    nodes = {"nodes": {"count": 2}}
    (message,) = _messages("warning", nodes)
    assert message.startswith("jobs.j.nodes cannot connect to each other on compute.c, ")
    assert _messages("warning", nodes, {**ON_DEMAND, "placement_group": True}) == []
    # Of tiers that are not named, one that will do is enough.
    two = {
        "compute": {"c": ON_DEMAND, "close": {**ON_DEMAND, "placement_group": True}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}, "u": {"priority": 2, "compute": ["close"]}},
    }
    free = {"jobs": {"j": {**JOB, **nodes}}}
    assert preflight(Settings.model_validate({**two, **free})) == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            [{"action": "retry", "on_reason": "*"}, {"action": "exit", "on_reason": "Cannot*"}],
            "rules[1] must be before rules[0]",
        ),
        (
            [{"action": "retry", "on_exit_code": "1*"}, {"action": "exit", "on_exit_code": "137"}],
            "rules[1] must be before rules[0]",
        ),
        (
            [
                {"action": "retry", "on_exit_code": "7"},
                {"action": "exit", "on_exit_code": "7", "on_reason": "x"},
            ],
            "rules[1] must be before rules[0]",
        ),
        ([{"action": "retry", "on_exit_code": "256"}], "on_exit_code must be a number between 0 and 255"),
        ([{"action": "retry", "on_exit_code": "07"}], "on_exit_code must be a number between 0 and 255"),
        ([{"action": "retry", "on_exit_code": "00*"}], "on_exit_code must be a number between 0 and 255"),
        ([{"action": "retry", "on_exit_code": "0"}], "on_exit_code must not be '0'"),
    ],
)
def test_rules_that_can_never_match_are_refused(rules: list[dict[str, str]], message: str) -> None:
    for where in ({"retry": {"rules": rules}}, {"job": {"retry": {"rules": rules}}}):
        errors = _messages("error", **where)
        assert len(errors) == 1
        assert message in errors[0]


@pytest.mark.parametrize(
    "rules",
    [
        [{"action": "retry", "on_status_reason": "Host EC2*"}, {"action": "exit", "on_reason": "*"}],
        # Narrower rules first, and conditions that only overlap.
        [{"action": "exit", "on_exit_code": "137"}, {"action": "retry", "on_exit_code": "1*"}],
        [
            {"action": "retry", "on_exit_code": "1", "on_reason": "a*"},
            {"action": "exit", "on_exit_code": "1"},
        ],
    ],
)
def test_rules_that_can_match_are_accepted(rules: list[dict[str, str]]) -> None:
    assert _findings(retry={"rules": rules}) == []


def test_rules_without_a_second_attempt_are_warned_of() -> None:
    rules = [{"action": "retry", "on_exit_code": "1"}]
    (message,) = _messages("warning", retry={"attempts": 1, "rules": rules})
    assert message == "tiers.t.retry.rules has no effect, because attempts is 1"


def test_a_single_attempt_on_spot_is_warned_of() -> None:
    (message,) = _messages("warning", {"retry": {"attempts": 1}}, {"type": "spot"})
    assert message.startswith("jobs.j.retry.attempts is 1, and tiers.t uses Spot capacity")


@pytest.mark.parametrize(("section", "what"), [("tiers", "job queues"), ("compute", "compute environments")])
def test_more_than_the_quota_is_refused_and_nearly_so_many_warned_of(section: str, what: str) -> None:
    def findings(count: int) -> list[Finding]:
        number = count if section == "compute" else 1
        compute = {f"c{index}": ON_DEMAND for index in range(number)}
        tiers = {
            f"t{index}": {"priority": index, "compute": [f"c{index % number}"]} for index in range(count)
        }
        settings = {"compute": compute, "tiers": tiers, "jobs": {"j": JOB}}
        found = preflight(Settings.model_validate(settings))
        return [one for one in found if one.check == "quota" and one.message.startswith(section)]

    assert findings(40) == []
    assert [one.level for one in findings(41)] == ["warning"]
    (refused,) = findings(51)
    assert refused.level == "error"
    assert f"{section} must have at most 50 entries, AWS Batch's quota of {what}" in refused.message


NETWORK = {
    "mode": "existing",
    "vpc_id": "vpc-0123abcd",
    "availability_zones": ["us-east-1a"],
    "subnet_ids": ["subnet-0123abcd"],
}


def test_subnets_without_a_way_out_are_warned_of() -> None:
    findings = _findings(network={**NETWORK, "subnets": "isolated"})
    assert [finding.check for finding in findings] == ["isolatedSubnets", "unreachableRegistry"]
    assert _findings(network=NETWORK) == []


@pytest.mark.parametrize(
    ("image", "reached"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1", True),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/x:1", True),
        ("${Token[TOKEN.7]}.dkr.ecr.us-east-1.amazonaws.com/x:1", True),
        # Of a pull-through cache the execution role could read nothing that is not in there yet.
        ("public.ecr.aws/docker/library/busybox:1", False),
        ("docker.io/foo.dkr.ecr.x/bar:1", False),
        ("busybox:1", False),
    ],
)
def test_an_isolated_network_reaches_private_registries_of_ecr_only(image: str, reached: bool) -> None:
    findings = _findings({"image": image}, network={"mode": "isolated"})
    assert [finding.level for finding in findings] == ([] if reached else ["error"])
    if not reached:
        assert findings[0].message == (
            "jobs.j.image must be of a private registry of Amazon ECR as long as network.mode is isolated, "
            f"which lets no job reach another registry, got {image!r}: copy it into a repository of yours"
        )
    # In a VPC of others there may be a registry that nobody here knows of.
    theirs = _findings({"image": image}, network={**NETWORK, "subnets": "isolated"})
    assert [one.check for one in theirs if one.level == "warning"] == [
        "isolatedSubnets",
        *([] if reached else ["unreachableRegistry"]),
    ]


def test_of_a_vpc_that_is_given_its_own_subnets_count() -> None:
    settings = Settings.model_validate({"jobs": {"j": {"image": "busybox:1"}}})
    given = GivenNetwork(subnets=2, zones=2, isolated=True)
    assert [one.check for one in preflight(settings, given)] == ["unreachableRegistry"]
    assert preflight(settings, GivenNetwork(subnets=2, zones=2, isolated=False)) == []


def test_what_has_no_use_is_warned_of() -> None:
    content = {
        "compute": {"c": ON_DEMAND, "idle": ON_DEMAND},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
    }
    checks = [finding.check for finding in preflight(Settings.model_validate(content))]
    assert checks == ["unusedCompute", "noJobs"]


def test_few_types_of_spot_and_idle_gpus_are_warned_of() -> None:
    spot = {"type": "spot", "instance_types": ["m6i.large", "c6i.large"]}
    assert [finding.check for finding in _findings(None, spot)] == ["fewSpotTypes"]
    assert [finding.check for finding in _findings(None, GPU)] == ["idleGpu"]


def test_a_definition_larger_than_aws_batch_takes_is_refused() -> None:
    assert _messages("error", {"environment": {"A": "x" * 24_000}}) == []
    (message,) = _messages("error", {"environment": {"A": "x" * 24_000}, "parameters": {"p": "y" * 600}})
    assert message.startswith("jobs.j must have environment, command and parameters of at most 24576 bytes ")
    groups = {"count": 2, "groups": [{"nodes": "1"}]}
    assert len(_messages("error", {"environment": {"A": "x" * 13_000}, "nodes": groups})) == 1


def test_a_prefix_that_no_key_has_is_warned_of() -> None:
    triggers = {"x": {"job": "j", "tier": "t", "prefix": "/media"}}
    (message,) = _messages("warning", {"command": ["run", "Ref::input"]}, triggers=triggers)
    assert message.startswith("triggers.x.prefix should not begin with a slash")


def test_the_shipped_settings_have_no_finding() -> None:
    assert preflight(load_settings(ROOT / "batch.yaml")) == []
