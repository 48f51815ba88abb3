"""Settings of the network that jobs run in."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base import SettingsModel

_ID = r"-([0-9a-f]{8}|[0-9a-f]{17})$"
_SubnetId = Annotated[
    str, Field(pattern=f"^subnet{_ID}", description="a subnet id: subnet- and 8 or 17 hexadecimal digits")
]
_BucketName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="a bucket's name (not an ARN)")
]
EndpointName = Literal["batch", "events", "kms", "monitoring", "secretsmanager", "sns", "sqs", "ssm", "sts"]
"""An AWS service that jobs may call through an interface endpoint, besides those every job needs to start."""


class _OwnNetwork(SettingsModel):
    # Cut into 16 subnets: five of each kind, one for each Availability Zone, whose addresses never move.
    cidr: Annotated[
        str,
        Field(
            pattern=r"^\d{1,3}(\.\d{1,3}){3}/(1[6-9]|20)$",
            description="an IPv4 range between /16 and /20, such as 10.0.0.0/16",
        ),
    ] = "10.0.0.0/16"
    # The Region must have as many.
    max_azs: Annotated[int, Field(ge=1, le=5)] = 2
    # Of all traffic, to CloudWatch Logs, which charges for what it takes in.
    flow_logs: bool = False

    @model_validator(mode="after")
    def _range_of_addresses(self) -> _OwnNetwork:
        try:
            ipaddress.IPv4Network(self.cidr)
        except ValueError as error:
            raise ValueError(
                f"cidr must begin with the first address of an IPv4 range, got {self.cidr!r}: {error}"
            ) from None
        return self


class PublicNetworkSettings(_OwnNetwork):
    """Public subnets and no ingress: nothing that costs money while idle."""

    mode: Literal["public"] = "public"


class PrivateNetworkSettings(_OwnNetwork):
    """Private subnets that reach the internet through NAT gateways, which cost money by the hour."""

    mode: Literal["private_with_nat"]
    # With as many as Availability Zones, the loss of a zone leaves the others connected.
    nat_gateways: Annotated[int, Field(ge=1, le=5)] = 1

    @model_validator(mode="after")
    def _one_for_a_zone(self) -> PrivateNetworkSettings:
        if self.nat_gateways > self.max_azs:
            raise ValueError(
                f"nat_gateways must be between 1 and max_azs, which is {self.max_azs}, "
                f"got {self.nat_gateways}"
            )
        return self


class IsolatedNetworkSettings(_OwnNetwork):
    """Subnets without any way to the internet; AWS's services are reached through VPC endpoints.

    Interface endpoints cost money by the hour, each in each Availability Zone. Those for ECS, ECR and
    CloudWatch Logs are always there; the gateway endpoints, for S3 and DynamoDB, are free.
    """

    mode: Literal["isolated"]
    # What jobs call besides: leave out what none of them uses.
    endpoints: list[EndpointName] = ["batch", "events", "secretsmanager", "sqs", "ssm", "sts"]
    # Buckets of other accounts that jobs may read, such as public data sets.
    readable_buckets: list[_BucketName] = []


class ExistingNetworkSettings(SettingsModel):
    """A VPC that exists. What is named here is not looked up: synthesis needs no AWS account."""

    mode: Literal["existing"]
    vpc_id: Annotated[
        str, Field(pattern=f"^vpc{_ID}", description="a VPC id: vpc- and 8 or 17 hexadecimal digits")
    ]
    availability_zones: Annotated[list[str], Field(min_length=1)]
    # One for each Availability Zone, in their order.
    subnet_ids: Annotated[list[_SubnetId], Field(min_length=1)]
    # Where the subnets' default route leads: an internet gateway (public), NAT (private), nowhere (isolated).
    subnets: Literal["public", "private", "isolated"] = "private"

    @model_validator(mode="after")
    def _a_subnet_for_each_zone(self) -> ExistingNetworkSettings:
        zones, subnets = len(self.availability_zones), len(self.subnet_ids)
        if zones != subnets:
            raise ValueError(
                f"subnet_ids must be one for each of the {zones} availability_zones, got {subnets}"
            )
        return self


NetworkSettings = Annotated[
    PublicNetworkSettings | PrivateNetworkSettings | IsolatedNetworkSettings | ExistingNetworkSettings,
    Field(discriminator="mode"),
]
