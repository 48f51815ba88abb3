"""Networks that exist already: which subnets are used, and whether tasks need a public address there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[3]
SUBNETS = {
    "public": ["subnet-0a000001", "subnet-0a000002"],
    "private": ["subnet-0b000001", "subnet-0b000002"],
    "isolated": ["subnet-0c000001", "subnet-0c000002"],
}


@pytest.fixture
def imported(new_app: Callable[[], Any], cdk: Any) -> Callable[..., tuple[Any, Any]]:
    """Makes an app and a VPC known by its attributes, with the kinds of subnets that are named."""

    def make(*kinds: str) -> tuple[Any, Any]:
        app = new_app()
        theirs = cdk.Stack(app, "Theirs")
        cdk.aws_sns.Topic(theirs, "SomethingElse")
        attributes = {f"{kind}_subnet_ids": SUBNETS[kind] for kind in kinds}
        zones = ["us-east-1a", "us-east-1b"]
        vpc = cdk.aws_ec2.Vpc.from_vpc_attributes(
            theirs, "Vpc", vpc_id="vpc-0a000001", availability_zones=zones, **attributes
        )
        return app, vpc

    return make


def _template(app: Any, **options: Any) -> dict[str, Any]:
    settings = parse_settings(
        {"jobs": {"quick": {"folder": "media", "platform": "fargate"}}}, source="existing"
    )
    stack = batch_stack.BatchStack(
        app, "Ours", settings=settings, containers_dir=ROOT / "containers", **options
    )
    return dict(app.synth().get_stack_by_name(stack.stack_name).template)


def _subnets(template: dict[str, Any]) -> list[Any]:
    environments = [
        r["Properties"]["ComputeResources"]["Subnets"]
        for r in template["Resources"].values()
        if r["Type"] == "AWS::Batch::ComputeEnvironment"
    ]
    assert len(environments) == 3
    assert environments[0] == environments[1] == environments[2]
    return list(environments[0])


def _public_address(template: dict[str, Any]) -> str:
    (definition,) = (
        r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::Batch::JobDefinition"
    )
    return str(definition["ContainerProperties"]["NetworkConfiguration"]["AssignPublicIp"])


@pytest.mark.parametrize(
    ("kinds", "used", "address"),
    [
        (("public",), "public", "ENABLED"),
        (("private",), "private", "DISABLED"),
        (("public", "private"), "private", "DISABLED"),
        (("public", "isolated"), "public", "ENABLED"),
    ],
)
def test_by_default_private_subnets_with_egress_are_used_else_public_ones(
    imported: Callable[..., tuple[Any, Any]], kinds: tuple[str, ...], used: str, address: str
) -> None:
    app, vpc = imported(*kinds)
    template = _template(app, vpc=vpc)

    assert _subnets(template) == SUBNETS[used]
    assert _public_address(template) == address
    assert "AWS::EC2::VPC" not in {r["Type"] for r in template["Resources"].values()}


def test_subnets_can_be_chosen(imported: Callable[..., tuple[Any, Any]], cdk: Any) -> None:
    app, vpc = imported("public", "private", "isolated")
    selection = cdk.aws_ec2.SubnetSelection(subnet_type=cdk.aws_ec2.SubnetType.PUBLIC)
    template = _template(app, vpc=vpc, subnets=selection)
    assert (_subnets(template), _public_address(template)) == (SUBNETS["public"], "ENABLED")

    app, vpc = imported("public", "private", "isolated")
    selection = cdk.aws_ec2.SubnetSelection(subnets=vpc.isolated_subnets)
    template = _template(app, vpc=vpc, subnets=selection)
    assert (_subnets(template), _public_address(template)) == (SUBNETS["isolated"], "DISABLED")


def test_a_vpc_of_the_same_app_is_deleted_after_what_runs_in_it(new_app: Callable[[], Any], cdk: Any) -> None:
    ec2 = cdk.aws_ec2
    stack = cdk.Stack(new_app(), "Both")
    public = ec2.SubnetConfiguration(name="Only", subnet_type=ec2.SubnetType.PUBLIC)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0, subnet_configuration=[public])
    network = batch_stack.Network.from_vpc(stack, "Network", vpc)
    batch_stack.FargateComputeEnvironment(
        stack, "Fargate", network=network, settings=batch_stack.Settings().compute["fargate"]
    )
    resources = cdk.assertions.Template.from_stack(stack).to_json()["Resources"]

    (environment,) = (r for r in resources.values() if r["Type"] == "AWS::Batch::ComputeEnvironment")
    routes = {name for name, r in resources.items() if r["Type"] == "AWS::EC2::Route"}
    assert network.assigns_public_ip is True
    assert len(routes) == 2
    assert routes <= set(environment["DependsOn"])


def test_a_vpc_without_a_way_out_is_refused(imported: Callable[..., tuple[Any, Any]]) -> None:
    app, vpc = imported("isolated")
    with pytest.raises(
        ValueError,
        match=r"vpc must have private subnets with egress or public ones, or subnets must say which to use, "
        r"got 2 isolated subnets only at Ours/Default/Network",
    ):
        _template(app, vpc=vpc)


def test_a_choice_of_subnets_that_are_not_there_is_refused(
    imported: Callable[..., tuple[Any, Any]], cdk: Any
) -> None:
    app, vpc = imported("public")
    for selection in (
        cdk.aws_ec2.SubnetSelection(subnet_type=cdk.aws_ec2.SubnetType.PRIVATE_ISOLATED),
        cdk.aws_ec2.SubnetSelection(availability_zones=["eu-west-1a"]),
    ):
        with pytest.raises(
            ValueError,
            match=r"subnets must select at least one subnet of the VPC, which has 0 private with egress, "
            r"2 public and 0 isolated, got none at .*/Network",
        ):
            batch_stack.Network.from_vpc(
                cdk.Stack(app, f"S{len(app.node.children)}"), "Network", vpc, subnets=selection
            )


@pytest.mark.parametrize(("kind", "warned"), [("isolated", True), ("private", False), ("public", False)])
def test_isolated_subnets_that_are_given_are_warned_of(
    imported: Callable[..., tuple[Any, Any]], cdk: Any, kind: str, warned: bool
) -> None:
    app, vpc = imported("isolated", "private", "public")
    ec2 = cdk.aws_ec2
    types = {
        "isolated": ec2.SubnetType.PRIVATE_ISOLATED,
        "private": ec2.SubnetType.PRIVATE_WITH_EGRESS,
        "public": ec2.SubnetType.PUBLIC,
    }
    stack = cdk.Stack(app, "Ours")
    batch_stack.Network.from_vpc(stack, "Network", vpc, subnets=ec2.SubnetSelection(subnet_type=types[kind]))
    found = cdk.assertions.Annotations.from_stack(stack).find_warning(
        "*",
        cdk.assertions.Match.string_like_regexp("without the VPC endpoints ecs, ecs-agent, .* in their VPC"),
    )
    assert [entry.id for entry in found] == (["/Ours/Network"] if warned else [])


def test_what_isolated_subnets_of_a_given_vpc_do_not_reach_is_said(
    imported: Callable[..., tuple[Any, Any]], cdk: Any
) -> None:
    app, vpc = imported("private", "isolated")
    settings = parse_settings({"jobs": {"quick": {"image": "busybox:1"}}}, source="existing")
    isolated = cdk.aws_ec2.SubnetSelection(subnet_type=cdk.aws_ec2.SubnetType.PRIVATE_ISOLATED)
    batch_stack.BatchStack(app, "Apart", settings=settings, vpc=vpc, subnets=isolated)
    batch_stack.BatchStack(app, "Connected", settings=settings, vpc=vpc)
    texts = {
        name: " ".join(str(one.entry.data) for one in app.synth().get_stack_by_name(name).messages)
        for name in ("Apart", "Connected")
    }
    for told in ("batch-stack:isolatedSubnets", "jobs.quick.image should be of a private registry"):
        assert told in texts["Apart"]
        assert told not in texts["Connected"]


def _platform(
    cdk: Any, app: Any, vpc: Any, *, placement_zone: int = 1, **content: Any
) -> batch_stack.BatchPlatform:
    """One whose network the settings leave open, in a stack of its own."""
    nodes = {"type": "on_demand", "placement_group": True, "placement_zone": placement_zone}
    tier = {"priority": 1, "compute": ["nodes"]}
    settings = parse_settings(
        {"compute": {"nodes": nodes}, "tiers": {"t": tier}, **content}, source="existing"
    )
    stack = cdk.Stack(
        app, f"S{len(app.node.children)}", env=cdk.Environment(account="111111111111", region="eu-west-1")
    )
    return batch_stack.BatchPlatform(stack, "Batch", settings=settings, vpc=vpc and vpc(stack))


def test_a_network_in_the_settings_and_a_vpc_are_one_too_many(
    imported: Callable[..., tuple[Any, Any]], cdk: Any
) -> None:
    app, vpc = imported("private")
    with pytest.raises(
        SettingsError,
        match=r"network must not be given together with vpc, which replaces it, got mode "
        r"'public' at S\d/Batch: leave it out of the settings, or leave out vpc",
    ):
        _platform(cdk, app, lambda _: vpc, network={"mode": "public", "flow_logs": True})
    assert _platform(cdk, app, lambda _: vpc).network.vpc is vpc


def test_zones_are_those_of_the_vpc_and_not_those_of_the_default(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    def of_zones(*letters: str) -> Callable[[Any], Any]:
        zones = [f"eu-west-1{letter}" for letter in letters]
        ids = [f"subnet-0b00000{number}" for number in range(len(zones))]
        return lambda stack: cdk.aws_ec2.Vpc.from_vpc_attributes(
            stack, "Vpc", vpc_id="vpc-0a000001", availability_zones=zones, private_subnet_ids=ids
        )

    app = new_app()
    third = _platform(cdk, app, of_zones("a", "b", "c"), placement_zone=3)
    assert third.compute["nodes"].resource is not None
    with pytest.raises(
        SettingsError, match=r"compute.nodes.placement_zone must be between 1 and 1, .* got 2"
    ):
        _platform(cdk, app, of_zones("a"), placement_zone=2)
    with pytest.raises(SettingsError, match=r"vpc must have jobs' subnets in at least 2 .*, got 1"):
        _platform(cdk, app, of_zones("a"), results={"database": {}})
    # Without a VPC the default network counts, which nothing in the settings says.
    with pytest.raises(
        SettingsError, match=r"compute.nodes.placement_zone must be between 1 and 2, .* got 3"
    ):
        _platform(cdk, app, None, placement_zone=3)
    # The CDK command looks a VPC up when a first synthesis has asked for it: that one must not fail.
    asked = _platform(
        cdk,
        app,
        lambda stack: cdk.aws_ec2.Vpc.from_lookup(stack, "Vpc", vpc_id="vpc-0a000001"),
        placement_zone=3,
    )
    assert asked.network.awaits_lookup
