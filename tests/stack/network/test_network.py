"""Networks: what each mode is made of, who may reach what, and that no mode moves another's subnets."""

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_stack.common.retention import DataPolicy
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

MODES: dict[str, dict[str, Any]] = {
    "public": {"mode": "public"},
    "private_with_nat": {"mode": "private_with_nat", "flow_logs": True},
    "isolated": {"mode": "isolated", "endpoints": ["batch", "sts"], "readable_buckets": ["1000genomes"]},
    "existing": {
        "mode": "existing",
        "vpc_id": "vpc-0a000001",
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "subnet_ids": ["subnet-0a000001", "subnet-0a000002"],
    },
}
ALWAYS = {"ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs", "s3", "dynamodb"}


@pytest.fixture(scope="session")
def network_of(new_app: Callable[[], Any], cdk: Any) -> Callable[..., dict[str, Any]]:
    """Makes templates of a network and a Fargate environment in it; equal settings are synthesised once."""
    from batch_stack import FargateComputeEnvironment, Network  # noqa: PLC0415 # loads aws_cdk
    from batch_stack.settings.compute.kinds import FargateSettings  # noqa: PLC0415

    texts: dict[str, str] = {}

    def template_of(**settings: Any) -> dict[str, Any]:
        key = json.dumps(settings)
        if key not in texts:
            stack = cdk.Stack(new_app(), "Net")
            parsed = parse_settings({"network": settings}, source="test").network
            network = Network(stack, "Network", settings=parsed, data_policy=DataPolicy(log_retention_days=7))
            FargateComputeEnvironment(stack, "Fargate", network=network, settings=FargateSettings())
            texts[key] = json.dumps(cdk.assertions.Template.from_stack(stack).to_json())
        return dict(json.loads(texts[key]))

    return template_of


def _of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: r for name, r in template["Resources"].items() if r["Type"] == f"AWS::EC2::{kind}"}


def _cidrs(template: dict[str, Any]) -> dict[str, str]:
    return {name: r["Properties"]["CidrBlock"] for name, r in _of_type(template, "Subnet").items()}


def _environment(template: dict[str, Any]) -> dict[str, Any]:
    kind = "AWS::Batch::ComputeEnvironment"
    (environment,) = (r for r in template["Resources"].values() if r["Type"] == kind)
    return dict(environment)


def _jobs_run_in(template: dict[str, Any]) -> list[str]:
    subnets = _environment(template)["Properties"]["ComputeResources"]["Subnets"]
    return [subnet["Ref"] if isinstance(subnet, dict) else subnet for subnet in subnets]


def _service(endpoint: dict[str, Any]) -> str:
    name = endpoint["Properties"]["ServiceName"]
    text = name if isinstance(name, str) else "".join(map(str, name["Fn::Join"][1]))
    return text.rpartition("}.")[2] if "}." in text else text


def _statements(endpoint: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for statement in endpoint["Properties"].get("PolicyDocument", {}).get("Statement", []):
        for key in ("Action", "Resource"):
            if not isinstance(statement[key], list):
                statement[key] = [statement[key]]
        yield statement


@pytest.mark.parametrize(("first", "second"), [("public", "private_with_nat"), ("public", "isolated")])
@pytest.mark.parametrize("max_azs", [2, 5])
def test_subnets_of_one_mode_never_have_the_addresses_of_another(
    network_of: Callable[..., dict[str, Any]], first: str, second: str, max_azs: int
) -> None:
    one = _cidrs(network_of(mode=first, max_azs=max_azs))
    other = _cidrs(network_of(mode=second, max_azs=max_azs))

    assert all(other[name] == cidr for name, cidr in one.items() if name in other)
    taken = [ipaddress.ip_network(cidr) for cidr in {**one, **other}.values()]
    assert not [pair for pair in _pairs(taken) if pair[0].overlaps(pair[1])]
    assert len(_jobs_run_in(network_of(mode=second, max_azs=max_azs))) == max_azs


def _pairs(networks: list[Any]) -> Iterator[tuple[Any, Any]]:
    for index, network in enumerate(networks):
        for other in networks[index + 1 :]:
            yield network, other


@pytest.mark.parametrize("mode", ["private_with_nat", "isolated"])
def test_a_zone_more_moves_no_subnet(network_of: Callable[..., dict[str, Any]], mode: str) -> None:
    two, five = _cidrs(network_of(mode=mode, max_azs=2)), _cidrs(network_of(mode=mode, max_azs=5))
    assert two.items() < five.items()


def test_a_small_range_is_cut_into_smaller_subnets(network_of: Callable[..., dict[str, Any]]) -> None:
    cidrs = _cidrs(network_of(mode="private_with_nat", cidr="172.16.16.0/20")).values()
    assert set(cidrs) == {"172.16.16.0/24", "172.16.17.0/24", "172.16.21.0/24", "172.16.22.0/24"}


def test_private_subnets_go_out_through_nat(network_of: Callable[..., dict[str, Any]]) -> None:
    template = network_of(**MODES["private_with_nat"])

    assert all("Private" in name for name in _jobs_run_in(template))
    assert len(_of_type(template, "NatGateway")) == len(_of_type(template, "EIP")) == 1
    (nat,) = _of_type(template, "NatGateway")
    routes = _of_type(template, "Route")
    private = {name for name in routes if "Private" in name}
    assert {routes[name]["Properties"]["NatGatewayId"]["Ref"] for name in private} == {nat}
    # Instances cannot say that they end once the way out is gone.
    assert private <= set(_environment(template)["DependsOn"])
    assert {_service(e) for e in _of_type(template, "VPCEndpoint").values()} == {"s3", "dynamodb"}


def test_a_gateway_for_each_zone(network_of: Callable[..., dict[str, Any]]) -> None:
    template = network_of(mode="private_with_nat", max_azs=3, nat_gateways=3)
    routes = _of_type(template, "Route").values()
    used = [r["Properties"]["NatGatewayId"]["Ref"] for r in routes if "NatGatewayId" in r["Properties"]]
    assert sorted(used) == sorted(_of_type(template, "NatGateway"))


def test_isolated_subnets_have_endpoints_and_no_other_way(network_of: Callable[..., dict[str, Any]]) -> None:
    template = network_of(**MODES["isolated"])

    for kind in ("InternetGateway", "NatGateway", "Route", "EIP"):
        assert not _of_type(template, kind), kind
    subnets = _jobs_run_in(template)
    assert all("Isolated" in name for name in subnets)
    endpoints = _of_type(template, "VPCEndpoint")
    assert {_service(endpoint) for endpoint in endpoints.values()} == ALWAYS | {"batch", "sts"}
    for endpoint in endpoints.values():
        properties = endpoint["Properties"]
        if properties["VpcEndpointType"] == "Interface":
            assert [subnet["Ref"] for subnet in properties["SubnetIds"]] == subnets
            assert properties["PrivateDnsEnabled"] is True
        else:
            assert len(properties["RouteTableIds"]) == 2
    needed = set(_environment(template)["DependsOn"])
    assert set(endpoints) | set(_of_type(template, "SubnetRouteTableAssociation")) <= needed


def test_endpoints_admit_https_from_jobs_only(network_of: Callable[..., dict[str, Any]]) -> None:
    template = network_of(**MODES["isolated"])
    groups = _of_type(template, "SecurityGroup")
    assert all("SecurityGroupIngress" not in group["Properties"] for group in groups.values())
    (rule,) = (r["Properties"] for r in _of_type(template, "SecurityGroupIngress").values())
    (jobs,) = _environment(template)["Properties"]["ComputeResources"]["SecurityGroupIds"]
    assert rule["SourceSecurityGroupId"] == jobs
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("tcp", 443, 443)
    guarded = {
        json.dumps(e["Properties"]["SecurityGroupIds"])
        for e in _of_type(template, "VPCEndpoint").values()
        if e["Properties"]["VpcEndpointType"] == "Interface"
    }
    assert guarded == {json.dumps([rule["GroupId"]])}


def test_endpoint_policies_keep_to_this_account(network_of: Callable[..., dict[str, Any]]) -> None:
    endpoints = _of_type(network_of(**MODES["isolated"]), "VPCEndpoint").values()
    account = {"Ref": "AWS::AccountId"}
    without = {_service(endpoint) for endpoint in endpoints if not list(_statements(endpoint))}
    assert without == {"ecs", "ecs-agent", "ecs-telemetry"}
    for endpoint in endpoints:
        for statement in _statements(endpoint):
            assert not [action for action in statement["Action"] if "*" in action]
            conditions = statement.get("Condition", {}).get("StringEquals", {})
            if not conditions:
                # Requests that others sign: only of the two buckets of AWS that instances read from.
                assert statement["Action"] == ["s3:GetObject"]
                text = json.dumps(statement["Resource"])
                assert len(statement["Resource"]) == 2
                assert "-starport-layer-bucket/*" in text
                assert "al2023-repos-" in text
            else:
                assert conditions["aws:PrincipalAccount"] == account


def test_only_named_buckets_of_other_accounts_can_be_read_and_none_be_written(
    network_of: Callable[..., dict[str, Any]],
) -> None:
    endpoints = _of_type(network_of(**MODES["isolated"]), "VPCEndpoint").values()
    (s3,) = (endpoint for endpoint in endpoints if _service(endpoint) == "s3")
    elsewhere = [
        statement
        for statement in _statements(s3)
        if "Condition" in statement and "aws:ResourceAccount" not in statement["Condition"]["StringEquals"]
    ]
    (genomes,) = elsewhere
    assert "s3:PutObject" not in genomes["Action"]
    assert [name["Fn::Join"][1][-1] for name in genomes["Resource"]] == [
        ":s3:::1000genomes",
        ":s3:::1000genomes/*",
    ]


def test_flow_logs_are_kept_for_a_stated_time_and_written_with_a_role_for_them_alone(
    network_of: Callable[..., dict[str, Any]],
) -> None:
    template = network_of(**MODES["private_with_nat"])
    resources = template["Resources"]
    (flow_log,) = (r["Properties"] for r in _of_type(template, "FlowLog").values())
    (vpc,) = _of_type(template, "VPC")
    group = flow_log["LogGroupName"]["Ref"]
    role = resources[flow_log["DeliverLogsPermissionArn"]["Fn::GetAtt"][0]]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert (flow_log["ResourceId"], flow_log["TrafficType"]) == ({"Ref": vpc}, "ALL")
    assert resources[group]["Properties"]["RetentionInDays"] == 7
    assert resources[group]["DeletionPolicy"] == "Retain"
    assert statement["Resource"] == {"Fn::GetAtt": [group, "Arn"]}
    assert "logs:PutLogEvents" in statement["Action"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}
    assert not _of_type(network_of(**MODES["public"]), "FlowLog")


@pytest.mark.parametrize(("subnets", "address"), [("public", True), ("private", False), ("isolated", False)])
def test_an_existing_network_is_used_as_it_is_without_a_lookup(
    new_app: Callable[[], Any], cdk: Any, subnets: str, address: bool
) -> None:
    from batch_stack import Network  # noqa: PLC0415 # loads aws_cdk

    app = new_app()
    stack = cdk.Stack(app, "Net", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    parsed = parse_settings({"network": {**MODES["existing"], "subnets": subnets}}, source="t").network
    network = Network(stack, "Network", settings=parsed)
    used = network.vpc.select_subnets(subnet_type=network.subnets.subnet_type)
    folder = Path(app.synth().directory)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    template = json.loads((folder / "Net.template.json").read_text(encoding="utf-8"))

    assert network.assigns_public_ip is address
    assert used.subnet_ids == MODES["existing"]["subnet_ids"]
    assert "missing" not in manifest
    assert [r["Type"] for r in template["Resources"].values()] == ["AWS::EC2::SecurityGroup"]
    said = (folder / manifest["artifacts"]["Net"]["additionalMetadataFile"]).read_text(encoding="utf-8")
    assert "JobSecurityGroup" in said
    assert "aws:cdk:warning" not in said


@pytest.mark.parametrize("mode", MODES)
def test_the_settings_choose_the_network_of_the_platform(
    synth: Callable[[dict[str, Any]], dict[str, Any]], mode: str
) -> None:
    template = synth({"network": MODES[mode], "jobs": {"quick": {"folder": "media", "platform": "fargate"}}})
    (definition,) = (
        r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Batch::JobDefinition"
    )
    assert ("AWS::EC2::VPC" in {r["Type"] for r in template["Resources"].values()}) == (mode != "existing")
    expected = "ENABLED" if mode == "public" else "DISABLED"
    assert f'"AssignPublicIp": "{expected}"' in json.dumps(definition)
