"""What checks need to know about a VPC that is given in Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GivenNetwork:
    """The subnets of a given VPC, in place of the settings' `network`, which does not count then.

    Attributes:
        subnets: the number of subnets in which jobs run.
        zones: the number of Availability Zones of these subnets.
        isolated: whether none of them has a route to the internet.
    """

    subnets: int
    zones: int
    isolated: bool
