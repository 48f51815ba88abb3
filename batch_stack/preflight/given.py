"""A VPC that was given in Python, as far as checks ask about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batch_stack.network import Network


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


def given_network(network: Network) -> GivenNetwork | None:
    """Look at the subnets of a VPC that was given.

    Args:
        network: what was made of the VPC.

    Returns:
        None for a VPC that CDK has still to look up, and for which it has put another until then.
    """
    zones = set(network.availability_zones)
    # What CDK puts there for the time being, until its command line has asked the account.
    if any(zone.startswith("dummy") for zone in zones):
        return None
    isolated = {subnet.subnet_id for subnet in network.vpc.isolated_subnets}
    return GivenNetwork(
        subnets=len(network.subnet_ids), zones=len(zones), isolated=isolated.issuperset(network.subnet_ids)
    )
