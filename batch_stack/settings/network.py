"""Settings of the network that jobs run in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from batch_stack.settings.base import SettingsModel

_SubnetId = Annotated[str, Field(pattern=r"^subnet-[0-9a-f]+$", description="a subnet id (subnet-0a1b...)")]


class _OwnNetwork(SettingsModel):
    # A /16 leaves room for subnets of another kind to be added later without moving those that are there.
    cidr: Annotated[
        str,
        Field(
            pattern=r"^\d{1,3}(\.\d{1,3}){3}/(1[6-9]|20)$",
            description="an IPv4 range between /16 and /20, such as 10.0.0.0/16",
        ),
    ] = "10.0.0.0/16"
    max_azs: Annotated[int, Field(ge=1, le=6)] = 2
    flow_logs: bool = False


class PublicNetworkSettings(_OwnNetwork):
    """Public subnets and no ingress: nothing that costs money while idle."""

    mode: Literal["public"] = "public"


class PrivateNetworkSettings(_OwnNetwork):
    """Private subnets that reach the internet through NAT gateways, which cost money by the hour."""

    mode: Literal["private_with_nat"]
    nat_gateways: Annotated[int, Field(ge=1, le=6)] = 1


class IsolatedNetworkSettings(_OwnNetwork):
    """Subnets without any way to the internet; AWS's services are reached through VPC endpoints."""

    mode: Literal["isolated"]


class ExistingNetworkSettings(SettingsModel):
    """A VPC that exists. What is named here is not looked up: synthesis needs no AWS account."""

    mode: Literal["existing"]
    vpc_id: Annotated[str, Field(pattern=r"^vpc-[0-9a-f]+$", description="a VPC id (vpc-0a1b...)")]
    availability_zones: Annotated[list[str], Field(min_length=1)]
    # One for each Availability Zone, in their order.
    subnet_ids: Annotated[list[_SubnetId], Field(min_length=1)]
    # Where the subnets' default route leads: an internet gateway (public), NAT (private), nowhere (isolated).
    subnets: Literal["public", "private", "isolated"] = "private"


NetworkSettings = Annotated[
    PublicNetworkSettings | PrivateNetworkSettings | IsolatedNetworkSettings | ExistingNetworkSettings,
    Field(discriminator="mode"),
]
