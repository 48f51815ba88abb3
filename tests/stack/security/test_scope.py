"""What is scanned is all that can be provisioned; and what reasons in accepted.toml say is so."""

import ast
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, get_args

import pytest

import batch_stack
from batch_stack.settings.compute.kinds import ComputeEnvironmentSettings

pytestmark = pytest.mark.stack

PACKAGE = Path(batch_stack.__file__).parent
# Constructs that are no resource of their own, and resources whose construct has another name.
NO_RESOURCE = {
    "EcsEc2ContainerDefinition",
    "EcsFargateContainerDefinition",
    "LinuxParameters",
    "DockerImageAsset",
    "Repository",  # somebody else's, by its name
    "CfnOutput",
    "App",
    "Stack",
}
OTHER_NAMES = {
    "EcsJobDefinition": "AWS::Batch::JobDefinition",
    "MultiNodeJobDefinition": "AWS::Batch::JobDefinition",
    "FairshareSchedulingPolicy": "AWS::Batch::SchedulingPolicy",
    "FargateComputeEnvironment": "AWS::Batch::ComputeEnvironment",
    "ManagedEc2EcsComputeEnvironment": "AWS::Batch::ComputeEnvironment",
    "UnmanagedComputeEnvironment": "AWS::Batch::ComputeEnvironment",
    "DatabaseCluster": "AWS::RDS::DBCluster",
    "InterfaceVpcEndpoint": "AWS::EC2::VPCEndpoint",
    "Vpc": "AWS::EC2::VPC",
}
# Actions that AWS lets be bound to the cluster that something is in.
IN_A_CLUSTER = {
    "ecs:DescribeContainerInstances",
    "ecs:DescribeTasks",
    "ecs:ListTasks",
    "ecs:Poll",
    "ecs:RunTask",
    "ecs:StartTask",
    "ecs:StartTelemetrySession",
    "ecs:StopTask",
    "ecs:UpdateContainerInstancesState",
}
CLUSTERS = [":cluster/AWSBatch*", ":cluster/*_Batch_*"]


def _modules() -> Iterator[Any]:
    for module in walk_packages([str(PACKAGE)], "batch_stack."):
        yield import_module(module.name)


def _of_aws_cdk() -> dict[str, Any]:
    """The constructs of aws-cdk-lib that the source names, `ec2.Vpc` and the like, by their names."""
    construct, found = import_module("constructs").Construct, {}
    for module in _modules():
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                named = getattr(getattr(module, node.value.id, None), node.attr, None)
                if isinstance(named, type) and issubclass(named, construct):
                    found[named.__name__] = named
    return found


def _type_of(name: str, construct: Any) -> str:
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    cfn = construct if name.startswith("Cfn") else getattr(import_module(construct.__module__), f"Cfn{name}")
    return str(cfn.CFN_RESOURCE_TYPE_NAME)


def _resources(path: Path) -> dict[str, dict[str, Any]]:
    return dict(json.loads(path.read_text(encoding="utf-8"))["Resources"])


def _statements(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What roles may do, with the logical ids of what says so."""
    for logical_id, resource in _resources(path).items():
        properties = resource.get("Properties", {})
        policies = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            policies.append(properties["PolicyDocument"])
        for policy in policies:
            for statement in policy["Statement"]:
                yield logical_id, statement


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_construct_is_in_a_scanned_template(whole_stacks: dict[str, Any]) -> None:
    construct = import_module("constructs").Construct
    ours = {
        one
        for module in _modules()
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, construct) and one.__module__ == module.__name__
        and one.__name__[0] != "_"
    }  # fmt: skip
    made = {type(one) for stack in whole_stacks.values() for one in stack.node.find_all()}
    assert len(ours) > 20
    assert {one.__name__ for one in ours if not any(issubclass(other, one) for other in made)} == set()


def test_every_type_of_compute_is_in_a_scanned_template(whole_stacks: dict[str, Any]) -> None:
    (union, *_) = get_args(ComputeEnvironmentSettings)
    types = {
        name for settings in get_args(union) for name in get_args(settings.model_fields["type"].annotation)
    }
    used = {one.type for stack in whole_stacks.values() for one in stack.platform.settings.compute.values()}
    assert len(types) == 7
    assert types == used


def test_every_type_of_resource_that_the_source_names_is_in_a_scanned_template(
    all_templates: dict[str, Path],
) -> None:
    named = {_type_of(name, one) for name, one in _of_aws_cdk().items() if name not in NO_RESOURCE}
    scanned = {one["Type"] for path in all_templates.values() for one in _resources(path).values()}
    assert len(named) > 25
    assert named - scanned == set()


def test_what_can_be_bound_to_the_clusters_of_aws_batch_is(all_templates: dict[str, Path]) -> None:
    seen = set()
    for name, path in all_templates.items():
        for logical_id, statement in _statements(path):
            of_cluster = IN_A_CLUSTER & set(_list(statement["Action"]))
            if of_cluster:
                arns = statement.get("Condition", {}).get("ArnLike", {}).get("ecs:cluster", [])
                assert [arn["Fn::Join"][1][-1] for arn in arns] == CLUSTERS, f"{logical_id} in {name}"
            seen |= of_cluster
    assert seen == IN_A_CLUSTER
