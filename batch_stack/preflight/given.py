"""A VPC that was given in Python, as far as checks ask about it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_stack.network.network import Network


@dataclass(frozen=True, slots=True)
class GivenNetwork:
    """What takes the place of the settings' `network`, which nobody looks at then.

    Attributes:
        subnets: how many subnets jobs run in.
        zones: in how many Availability Zones those are.
        isolated: whether they have no way to the internet.
    """

    subnets: int
    zones: int
    isolated: bool


def given_network(network: Network) -> GivenNetwork:
    """Look at the subnets of a VPC that was given.

    Args:
        network: what was made of the VPC.
    """
    if network.awaits_lookup:
        # What must not be refused: without a synthesis the CDK command looks nothing up.
        return GivenNetwork(subnets=sys.maxsize, zones=sys.maxsize, isolated=False)
    zones = set(network.availability_zones)
    isolated = {subnet.subnet_id for subnet in network.vpc.isolated_subnets}
    return GivenNetwork(
        subnets=len(network.subnet_ids), zones=len(zones), isolated=isolated.issuperset(network.subnet_ids)
    )
