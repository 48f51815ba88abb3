"""Networks: what a mode takes, and what of it is refused."""

from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings

EXISTING = {
    "mode": "existing",
    "vpc_id": "vpc-0a1b2c3d",
    "availability_zones": ["eu-west-1a", "eu-west-1b"],
    "subnet_ids": ["subnet-0a000001", "subnet-0a000002"],
}


def _network(**network: Any) -> Any:
    return parse_settings({"network": network}, source="batch.yaml").network


def test_every_mode_is_accepted_with_little() -> None:
    assert _network(mode="public").max_azs == 2
    assert _network(mode="private_with_nat").nat_gateways == 1
    assert "secretsmanager" in _network(mode="isolated").endpoints
    assert _network(**EXISTING).subnets == "private"


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (
            {"mode": "public", "cidr": "10.0.0.0/24"},
            "network.cidr must be an IPv4 range between /16 and /20, such as 10.0.0.0/16, got '10.0.0.0/24'",
        ),
        (
            {"mode": "public", "cidr": "10.0.1.0/16"},
            "network.cidr must begin with the first address of an IPv4 range, got '10.0.1.0/16': 10.0.1.0/16 "
            "has host bits set",
        ),
        (
            {"mode": "isolated", "cidr": "10.0.300.0/20"},
            "network.cidr must begin with the first address of an IPv4 range, got '10.0.300.0/20'",
        ),
        *(
            (
                {"mode": "public", "cidr": cidr},
                f"network.cidr must not be of {reserved}, where EC2 makes no VPC, got {cidr!r}",
            )
            for cidr, reserved in [
                ("0.0.0.0/16", "0.0.0.0/8"),
                ("127.1.0.0/16", "127.0.0.0/8"),
                ("169.254.16.0/20", "169.254.0.0/16"),
                ("239.0.0.0/16", "224.0.0.0/4"),
            ]
        ),
        (
            {
                **EXISTING,
                "availability_zones": ["eu-west-1a"] * 17,
                "subnet_ids": [f"subnet-0a0000{number:02x}" for number in range(17)],
            },
            "network.subnet_ids must have at most 16 entries, got 17",
        ),
        (
            {"mode": "private_with_nat", "max_azs": 2, "nat_gateways": 3},
            "network.nat_gateways must be between 1 and max_azs, which is 2, got 3",
        ),
        ({"mode": "public", "max_azs": 6}, "network.max_azs must be a whole number between 1 and 5, got 6"),
        (
            {"mode": "isolated", "endpoints": ["batch", "ftp"]},
            "network.endpoints[1] must be one of batch, events, kms, monitoring, secretsmanager, sns, sqs, "
            "ssm, sts, got 'ftp'",
        ),
        (
            {"mode": "isolated", "readable_buckets": ["arn:aws:s3:::b"]},
            "network.readable_buckets[0] must be a bucket's name (not an ARN), got 'arn:aws:s3:::b'",
        ),
        (
            {**EXISTING, "vpc_id": "vpc-0a1b"},
            "network.vpc_id must be a VPC id: vpc- and 8 or 17 hexadecimal digits, got 'vpc-0a1b'",
        ),
        (
            {**EXISTING, "subnet_ids": ["subnet-0a000001"]},
            "network.subnet_ids must be one for each of the 2 availability_zones, got 1",
        ),
        (
            {**EXISTING, "subnet_ids": ["subnet-0a000001", "subnet-0a000001"]},
            "network.subnet_ids[1] must differ from those before it, got 'subnet-0a000001' again",
        ),
        *(
            (
                {**EXISTING, "availability_zones": ["eu-west-1a", zone]},
                "network.availability_zones[1] must be the name of an Availability Zone, such as eu-west-1a "
                f"(not its id, such as euw1-az1), got {zone!r}",
            )
            for zone in ("euw1-az2", "eu-west-1", "eu-west-1A", "EU-WEST-1b", "zone b", "b", "eu-west-1bb")
        ),
        (
            {**EXISTING, "availability_zones": ["eu-west-1a", "eu-central-1b"]},
            "network.availability_zones[1] must be of eu-west-1 like those before it, got 'eu-central-1b'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(network: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _network(**network)
    assert str(raised.value).startswith(f"batch.yaml: {problem}")


@pytest.mark.parametrize(
    "zones",
    [
        ["us-gov-west-1a", "us-gov-west-1b"],
        ["us-west-2a", "us-west-2-lax-1a"],
        ["us-east-1a", "us-east-1-wl1-bos-wlz-1"],
        ["eusc-de-east-1a", "eusc-de-east-1c"],
        ["ap-southeast-1a", "ap-southeast-1a"],
    ],
)
def test_zones_of_every_kind_are_taken(zones: list[str]) -> None:
    assert _network(**{**EXISTING, "availability_zones": zones}).availability_zones == zones
