"""Settings of the network that jobs run in."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel

_DOCKER_BRIDGE = ipaddress.IPv4Network("172.17.0.0/16")
_NO_VPC = tuple(
    ipaddress.IPv4Network(cidr) for cidr in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")
)
"""Ranges in which EC2 creates no VPC: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
_MAX_SUBNETS = 16
_ID = r"-([0-9a-f]{8}|[0-9a-f]{17})$"
_SubnetId = Annotated[
    str, Field(pattern=f"^subnet{_ID}", description="a subnet id: subnet- and 8 or 17 hexadecimal digits")
]
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_ZoneName = Annotated[
    str,
    Field(
        # Of a Region (eu-west-1a), a Local Zone (us-west-2-lax-1a) or Wavelength (us-east-1-wl1-bos-wlz-1).
        pattern=rf"^{_REGION.pattern}([a-z]|-[a-z0-9]+(-[a-z0-9]+)+)$",
        description="the name of an Availability Zone, such as eu-west-1a (not its id, such as euw1-az1)",
    ),
]
_BucketName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="a bucket's name (not an ARN)")
]
NEEDED_ENDPOINTS = "ecs, ecs-agent, ecs-telemetry, ecr.api, ecr.dkr, logs and, as a gateway, s3"
"""The endpoints that every job in isolated subnets needs to start."""
EndpointName = Literal["batch", "events", "kms", "monitoring", "secretsmanager", "sns", "sqs", "ssm", "sts"]
"""An AWS service that jobs may call through an interface endpoint, besides those that every job needs."""


class _OwnNetwork(SettingsModel):
    cidr: Annotated[
        str,
        Field(
            pattern=r"^\d{1,3}(\.\d{1,3}){3}/(1[6-9]|20)$",
            description="an IPv4 range between /16 and /20, such as 10.0.0.0/16",
        ),
    ] = "10.0.0.0/16"
    """The VPC's IPv4 range, which is divided into 16 subnets: five of each kind, one for each Availability
    Zone, whose addresses never change."""
    max_azs: Annotated[int, Field(ge=1, le=5)] = 2
    """The number of Availability Zones; the Region must have as many."""
    flow_logs: bool = False
    """Adds flow logs of all traffic, to CloudWatch Logs, which charges for them.
    https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html"""

    @model_validator(mode="after")
    def _range_of_addresses(self) -> _OwnNetwork:
        try:
            ipaddress.IPv4Network(self.cidr)
        except ValueError as error:
            raise ValueError(
                f"cidr must begin with the first address of an IPv4 range, got {self.cidr!r}: {error}"
            ) from None
        reserved = next((one for one in _NO_VPC if ipaddress.IPv4Network(self.cidr).overlaps(one)), None)
        if reserved is not None:
            raise ValueError(f"cidr must not be of {reserved}, where EC2 makes no VPC, got {self.cidr!r}")
        if ipaddress.IPv4Network(self.cidr).overlaps(_DOCKER_BRIDGE):
            raise ValueError(
                f"cidr must not overlap {_DOCKER_BRIDGE}, which Docker uses on every container instance: "
                f"they would not reach the network, got {self.cidr!r}"
            )
        return self


class PublicNetworkSettings(_OwnNetwork):
    """Public subnets and no ingress, which cost nothing while idle."""

    mode: Literal["public"] = "public"
    """Jobs have public addresses, and admit no connections."""


class PrivateNetworkSettings(_OwnNetwork):
    """Private subnets that reach the internet through NAT gateways, which cost money by the hour."""

    mode: Literal["private_with_nat"] = "private_with_nat"
    """Jobs have private addresses only."""
    nat_gateways: Annotated[int, Field(ge=1, le=5)] = 1
    """The number of NAT gateways. With one for each Availability Zone, the loss of a zone leaves the others
    connected.
    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html"""

    @model_validator(mode="after")
    def _one_for_a_zone(self) -> PrivateNetworkSettings:
        if self.nat_gateways > self.max_azs:
            raise ValueError(
                f"nat_gateways must be between 1 and max_azs, which is {self.max_azs}, "
                f"got {self.nat_gateways}"
            )
        return self


class IsolatedNetworkSettings(_OwnNetwork):
    """Subnets without a route to the internet, which reach AWS services through VPC endpoints.

    Interface endpoints cost money by the hour, for each Availability Zone. Those for ECS, ECR and CloudWatch
    Logs are always added; the gateway endpoints, for S3 and DynamoDB, are free.
    """

    mode: Literal["isolated"] = "isolated"
    """Jobs reach AWS services only: images must be in Amazon ECR."""
    endpoints: list[EndpointName] = ["batch", "events", "secretsmanager", "sqs", "ssm", "sts"]
    """Other AWS services that jobs call, by interface endpoints. Leave out those that no job uses.
    https://docs.aws.amazon.com/batch/latest/userguide/vpc-interface-endpoints.html"""
    readable_buckets: list[_BucketName] = []
    """Names of buckets of other accounts that jobs may read, such as public data sets."""


class ExistingNetworkSettings(SettingsModel):
    """An existing VPC. Its ids are not looked up, so that synthesis needs no AWS account."""

    mode: Literal["existing"] = "existing"
    """A VPC that the platform does not own."""
    vpc_id: Annotated[
        str, Field(pattern=f"^vpc{_ID}", description="a VPC id: vpc- and 8 or 17 hexadecimal digits")
    ]
    """The VPC's id."""
    availability_zones: Annotated[list[_ZoneName], Field(min_length=1)]
    """The Availability Zones that jobs run in, such as `eu-west-1a`."""
    subnet_ids: Annotated[list[_SubnetId], Field(min_length=1, max_length=_MAX_SUBNETS)]
    """A subnet's id for each Availability Zone, in their order."""
    subnets: Literal["public", "private", "isolated"] = "private"
    """The subnets' default route: to an internet gateway (`public`), to NAT (`private`), or none
    (`isolated`). Public subnets must assign public addresses, which instances need."""

    @model_validator(mode="after")
    def _a_subnet_for_each_zone(self) -> ExistingNetworkSettings:
        zones, subnets = len(self.availability_zones), len(self.subnet_ids)
        if zones != subnets:
            raise ValueError(
                f"subnet_ids must be one for each of the {zones} availability_zones, got {subnets}"
            )
        return self

    @model_validator(mode="after")
    def _different_subnets_of_one_region(self) -> ExistingNetworkSettings:
        for index, subnet in enumerate(self.subnet_ids):
            if subnet in self.subnet_ids[:index]:
                raise ValueError(
                    f"subnet_ids[{index}] must differ from those before it, got {subnet!r} again"
                )
        first, *others = [_region(zone) for zone in self.availability_zones]
        for index, region in enumerate(others, start=1):
            if region != first:
                raise ValueError(
                    f"availability_zones[{index}] must be of {first} like those before it, got "
                    f"{self.availability_zones[index]!r}"
                )
        return self


def _region(zone: str) -> str:
    found = _REGION.match(zone)
    return found[0] if found else ""


NetworkSettings = Annotated[
    PublicNetworkSettings | PrivateNetworkSettings | IsolatedNetworkSettings | ExistingNetworkSettings,
    Field(discriminator="mode"),
]
