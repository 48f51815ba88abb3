"""Elastic Fabric Adapters: the interfaces of instances, and the devices of the jobs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_batch as batch

_DEVICE = "/dev/infiniband/uverbs"


def network_interfaces(
    count: int, *, security_groups: Sequence[str], node_security_group: str, public_address: bool
) -> list[dict[str, Any]]:
    """What the launch template of instances with EFA says of their interfaces, one on each network card.

    The first is one of ENA, too, and has the address. It is alone on its card, where ECS adds an interface
    for a node's container. The others are for EFA only: with addresses of their own, answers could leave by
    another interface than questions came by.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html

    Args:
        count: how many.
        security_groups: those of the instances.
        node_security_group: the one among these that admits itself in both directions.
        public_address: whether the instances get a public address; EC2 gives it to a sole interface only.
    """
    first: dict[str, Any] = {
        "NetworkCardIndex": 0,
        "DeviceIndex": 0,
        "InterfaceType": "efa",
        "Groups": list(security_groups),
        "DeleteOnTermination": True,
    }
    if public_address:
        first["AssociatePublicIpAddress"] = True
    others = [
        {
            "NetworkCardIndex": card,
            "DeviceIndex": 1,
            "InterfaceType": "efa-only",
            "Groups": [node_security_group],
            "DeleteOnTermination": True,
        }
        for card in range(1, count)
    ]
    return [first, *others]


def devices(count: int) -> list[batch.Device]:
    """The devices of the host's EFA interfaces, with all permissions, which are AWS Batch's default.

    https://docs.aws.amazon.com/batch/latest/userguide/efa.html

    Args:
        count: how many interfaces there are.
    """
    # The L2 writes permissions that are given in lower case, which AWS Batch does not know.
    paths = [f"{_DEVICE}{number}" for number in range(count)]
    return [batch.Device(host_path=path, container_path=path) for path in paths]


def memory_to_pin() -> list[batch.Ulimit]:
    """The limit of a container that EFA writes into: it pins memory, without end.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-installer-containers.html
    """
    return [batch.Ulimit(name=batch.UlimitName.MEMLOCK, soft_limit=-1, hard_limit=-1)]
