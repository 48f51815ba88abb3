"""Template properties become API requests, typed, or are refused by name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_engine import translation as cfn

MODEL = ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")

# As `cdk synth` writes them, with the intrinsic functions resolved.
SPOT_CE: dict[str, Any] = {
    "ComputeResources": {
        "AllocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "Ec2Configuration": [{"ImageType": "ECS_AL2023"}],
        "InstanceRole": "arn:aws:iam::000000000000:instance-profile/p",
        "InstanceTypes": ["c6i", "m6i"],
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "3"},
        "MaxvCpus": "256",
        "MinvCpus": 0,
        "SecurityGroupIds": ["sg-1"],
        "Subnets": ["subnet-1"],
        "Type": "SPOT",
        "UpdateToLatestImageVersion": True,
    },
    "ReplaceComputeEnvironment": "false",
    "State": "ENABLED",
    "Type": "managed",
    "UpdatePolicy": {"JobExecutionTimeoutMinutes": 30},
}
JOB_DEFINITION: dict[str, Any] = {
    "ContainerProperties": {
        "Command": ["run", "Ref::inputKey"],
        "Environment": [{"Name": "OUTPUT", "Value": "bucket"}, {"Name": "LEVEL", "Value": 3}],
        "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/assets:abc",
        "LinuxParameters": {"InitProcessEnabled": "true"},
        "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "g", "MixedCase": 7}},
        "ReadonlyRootFilesystem": "TRUE",
        "ResourceRequirements": [{"Type": "MEMORY", "Value": 2048}, {"Type": "VCPU", "Value": "0.5"}],
    },
    "Parameters": {"inputKey": "none", "Other": True},
    "PlatformCapabilities": ["EC2"],
    "ResourceRetentionPolicy": {"SkipDeregisterOnUpdate": True},
    "RetryStrategy": {
        "Attempts": "3",
        "EvaluateOnExit": [{"Action": "RETRY", "OnStatusReason": "Host EC2*"}],
    },
    "Timeout": {"AttemptDurationSeconds": 3600.0},
    "Type": "container",
}


def test_a_compute_environment_loses_what_only_cloudformation_reads() -> None:
    operation, request = cfn.create_request(cfn.COMPUTE_ENVIRONMENT, SPOT_CE, name="Spot-1")
    assert operation == "CreateComputeEnvironment"
    assert request["type"] == "MANAGED"
    assert request["computeEnvironmentName"] == "Spot-1"
    assert request["computeResources"]["maxvCpus"] == 256
    assert request["computeResources"]["launchTemplate"] == {"launchTemplateId": "lt-1", "version": "3"}
    assert {"replaceComputeEnvironment", "updatePolicy"}.isdisjoint(request)
    assert "updateToLatestImageVersion" not in request["computeResources"]
    assert SPOT_CE["ComputeResources"]["UpdateToLatestImageVersion"] is True, "the template was changed"


def test_values_take_the_type_that_the_api_says() -> None:
    _, request = cfn.create_request(cfn.JOB_DEFINITION, JOB_DEFINITION, name="media")
    container = request["containerProperties"]
    assert container["environment"][1] == {"name": "LEVEL", "value": "3"}
    assert container["readonlyRootFilesystem"] is True
    assert container["linuxParameters"] == {"initProcessEnabled": True}
    assert container["resourceRequirements"][0] == {"type": "MEMORY", "value": "2048"}
    assert request["retryStrategy"]["attempts"] == 3
    assert request["timeout"] == {"attemptDurationSeconds": 3600}


def test_the_keys_of_maps_are_left_alone() -> None:
    _, request = cfn.create_request(cfn.JOB_DEFINITION, JOB_DEFINITION, name="media")
    assert request["containerProperties"]["logConfiguration"]["options"] == {
        "awslogs-group": "g",
        "MixedCase": "7",
    }
    assert request["parameters"] == {"inputKey": "none", "Other": "true"}
    _, queue = cfn.create_request(cfn.JOB_QUEUE, {"Priority": 1, "Tags": {"CostCentre": "x"}}, name="q")
    assert queue["tags"] == {"CostCentre": "x"}


@pytest.mark.parametrize(
    ("kind", "properties"), [(cfn.COMPUTE_ENVIRONMENT, SPOT_CE), (cfn.JOB_DEFINITION, JOB_DEFINITION)]
)
def test_the_request_is_valid_for_the_api(kind: str, properties: dict[str, Any]) -> None:
    operation, request = cfn.create_request(kind, properties, name="n")
    report = ParamValidator().validate(request, MODEL.operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


def test_the_templates_own_name_wins() -> None:
    _, request = cfn.create_request(cfn.SCHEDULING_POLICY, {"Name": "mine"}, name="generated")
    assert request == {"name": "mine"}


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Priority": "high"}, "must be an integer, got 'high' at Properties.Priority"),
        ({"Priority": 1.5}, "must be an integer, got 1.5 at Properties.Priority"),
        ({"Priority": True}, "must be an integer, got True at Properties.Priority"),
        ({"Priority": "nan"}, "must be an integer, got 'nan' at Properties.Priority"),
        ({"ComputeEnvironmentOrder": {"Order": 1}}, "must be a list, got {'Order': 1}"),
        (
            {"ComputeEnvironmentOrder": ["ce"]},
            "must be an object, got 'ce' at Properties.ComputeEnvironmentOrder[0]",
        ),
        (
            {"ComputeEnvironmentOrder": [{"Ordr": 1}]},
            "(known: ComputeEnvironment, Order), got 1 at Properties.ComputeEnvironmentOrder[0].Ordr",
        ),
        ({"State": ["ENABLED"]}, "must be a string, got ['ENABLED'] at Properties.State"),
        ({"Tags": ["a"]}, "must be an object, got ['a'] at Properties.Tags"),
    ],
)
def test_bad_properties_are_refused_with_type_place_and_value(
    properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(cfn.PropertyError) as caught:
        cfn.create_request(cfn.JOB_QUEUE, properties, name="q")
    assert str(caught.value).startswith("AWS::Batch::JobQueue: ")
    assert message in str(caught.value)


def test_a_boolean_is_true_or_false() -> None:
    with pytest.raises(
        cfn.PropertyError, match=r"must be true or false, got 'yes' at Properties\.PropagateTags"
    ):
        cfn.create_request(cfn.JOB_DEFINITION, {"PropagateTags": "yes"}, name="j")


def test_other_resource_types_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"got 'AWS::S3::Bucket'"):
        cfn.create_request("AWS::S3::Bucket", {}, name="b")


def _pascal(member: str) -> str:
    return member[0].upper() + member[1:]


def _values(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    """Pairs of (what a template may hold, what the API must get)."""
    if shape.type_name == "structure":
        return _structures(shape, depth)
    if shape.type_name == "list":
        return st.lists(_values(shape.member, depth - 1), max_size=2 if depth > 0 else 0).map(
            lambda pairs: ([a for a, _ in pairs], [b for _, b in pairs])
        )
    if shape.type_name == "map":
        keys = st.text("aBc-.", min_size=1, max_size=4)
        return st.dictionaries(keys, _values(shape.value, depth - 1), max_size=2).map(
            lambda pairs: ({k: a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()})
        )
    return _scalars(shape)


def _scalars(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.type_name == "boolean":
        return st.booleans().flatmap(lambda b: st.sampled_from([(b, b), (str(b), b), (str(b).lower(), b)]))
    if shape.type_name in {"integer", "long"}:
        return st.integers(-(2**31), 2**31 - 1).flatmap(lambda i: st.sampled_from([(i, i), (str(i), i)]))
    if shape.type_name in {"float", "double"}:
        return st.floats(-1e6, 1e6).flatmap(lambda f: st.sampled_from([(f, f), (repr(f), f)]))
    return st.text(max_size=5).map(lambda text: (text, text))


def _structures(shape: Shape, depth: int) -> st.SearchStrategy[Any]:
    members = [name for name, member in shape.members.items() if depth > 0 or member.type_name == "string"]
    if not members:
        return st.just(({}, {}))
    chosen = st.lists(st.sampled_from(sorted(members)), unique=True, max_size=4)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: _values(shape.members[name], depth - 1) for name in names})
    ).map(
        lambda pairs: ({_pascal(k): a for k, (a, _) in pairs.items()}, {k: b for k, (_, b) in pairs.items()})
    )


def _schema_paths(schema: dict[str, Any], root: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    """Properties of CloudFormation's own schema that the API's shape does not have."""
    while "$ref" in schema:
        resolved: Any = root
        for part in schema["$ref"].split("/")[1:]:
            resolved = resolved[part]
        schema = resolved
    if shape.type_name == "list":
        yield from _schema_paths(schema["items"], root, shape.member, path)
    elif shape.type_name == "structure":
        members = {name.lower(): member for name, member in shape.members.items()}
        for name, child in schema.get("properties", {}).items():
            if name.lower() not in members:
                yield f"{path}{name}"
            else:
                yield from _schema_paths(child, root, members[name.lower()], f"{path}{name}.")


@pytest.mark.parametrize("kind", sorted(cfn.CREATE_OPERATIONS))
def test_every_property_of_cloudformation_is_sent_or_known_to_be_its_own(kind: str) -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    read_only = {path.removeprefix("/properties/") for path in schema["readOnlyProperties"]}
    shape = MODEL.operation_model(cfn.CREATE_OPERATIONS[kind]).input_shape
    unknown = set(_schema_paths(schema, schema, shape, "")) - read_only
    assert unknown == set(cfn._CLOUDFORMATION_ONLY.get(kind, ()))


@pytest.mark.parametrize("kind", sorted(cfn.CREATE_OPERATIONS))
def test_every_member_of_the_api_is_reached(kind: str) -> None:
    operation = cfn.CREATE_OPERATIONS[kind]

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(_structures(MODEL.operation_model(operation).input_shape, depth=6))
    def holds(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
        template, expected = pair
        before = json.dumps(template)
        assert cfn.to_request(kind, operation, template) == expected
        assert json.dumps(template) == before

    holds()
