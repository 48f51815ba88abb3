"""Commands, environments and requirements of a job, from its definition and its overrides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import Platform
from batch_engine.core.rules import requirements
from batch_engine.core.rules.rendering import render_container, substitute

SMALL = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]


@given(st.text(), st.text())
def test_values_are_never_substituted_again(first, second):
    parameters = {"a": f"{first}Ref::b", "b": second}
    assert substitute(["Ref::a", "x=Ref::b;"], parameters) == [f"{first}Ref::b", f"x={second};"]


def test_unknown_placeholders_stay():
    assert substitute(["Ref::gone", "Ref::", "plain"], {}) == ["Ref::gone", "Ref::", "plain"]


def test_overrides_replace_by_name_and_by_type():
    defined = {
        "image": "i",
        "command": ["a"],
        "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resourceRequirements": SMALL,
    }
    overrides = {
        "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "512"}],
    }
    container, needs = render_container(defined, overrides, {}, Platform.EC2)
    assert container["command"] == ["a"]
    assert {item["name"]: item["value"] for item in container["environment"]} == {
        "A": "1",
        "B": "3",
        "C": "4",
    }
    assert (needs.milli_vcpus, needs.memory_mib) == (1000, 512)


def test_deprecated_overrides_do_not_beat_resource_requirements():
    container = {"image": "i", "resourceRequirements": SMALL}
    _, needs = render_container(container, {"vcpus": 8, "memory": 4096}, {}, Platform.EC2)
    assert (needs.milli_vcpus, needs.memory_mib) == (1000, 128)
    _, needs = render_container({"image": "i", "vcpus": 1, "memory": 128}, {"vcpus": 8}, {}, Platform.EC2)
    assert needs.milli_vcpus == 8000


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"command": ["ok", ""]}, "cannot contain an empty string"),
        ({"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]}, "cannot start with AWS_BATCH"),
        (
            {"resourceRequirements": [{"type": "MEMORY", "value": "3"}]},
            "MEMORY must be a whole number of at least 4",
        ),
        ({"resourceRequirements": [{"type": "VCPU", "value": "many"}]}, "vCPU must be a number, got many."),
        ({"resourceRequirements": [{"type": "VCPU", "value": "nan"}]}, "vCPU must be a number, got nan."),
        (
            {"resourceRequirements": [{"type": "VCPU", "value": "1.5"}]},
            "vCPU must be a whole number, got 1.5.",
        ),
    ],
)
def test_bad_overrides(overrides, message):
    with pytest.raises(ClientError) as caught:
        render_container({"image": "i", "resourceRequirements": SMALL}, overrides, {}, Platform.EC2)
    assert message in caught.value.message


@given(st.sampled_from([0.25, 0.5, 1, 2, 3, 4, 8, 16, 32]), st.integers(4, 260_000))
def test_fargate_takes_the_published_pairs_only(vcpus, memory_mib):
    wire = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory_mib)}]
    allowed = memory_mib in requirements.FARGATE_MEMORY_MIB.get(round(vcpus * 1000), ())
    if allowed:
        assert requirements.parse(wire, Platform.FARGATE).memory_mib == memory_mib
    else:
        with pytest.raises(ClientError):
            requirements.parse(wire, Platform.FARGATE)
