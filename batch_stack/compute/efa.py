"""Elastic Fabric Adapters: interfaces of instances, and devices of the jobs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_batch as batch

_DEVICE = "/dev/infiniband/uverbs"


def network_interfaces(
    count: int, *, security_groups: Sequence[str], node_security_group: str, public_address: bool
) -> list[dict[str, Any]]:
    """Returns the interfaces in the launch template of instances with EFA, one on each network card.

    The first interface is also for ENA, and has the address. It is alone on its card, where ECS adds an
    interface for a node's container. The others are for EFA only: if they had addresses, responses could
    leave by another interface than the one where the request came in.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html

    Args:
        count: the number of interfaces.
        security_groups: the security groups of the instances.
        node_security_group: the one of these groups whose members may connect to each other.
        public_address: whether the instances get a public address, which EC2 gives to a sole interface only.
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
    """Returns the devices of the host's EFA interfaces, with all permissions, AWS Batch's default.

    https://docs.aws.amazon.com/batch/latest/userguide/efa.html

    Args:
        count: the number of interfaces.
    """
    # The L2 writes given permissions in lower case, which AWS Batch does not know.
    paths = [f"{_DEVICE}{number}" for number in range(count)]
    return [batch.Device(host_path=path, container_path=path) for path in paths]


def memory_to_pin() -> list[batch.Ulimit]:
    """Returns the unlimited memlock of a container with EFA, which pins its memory.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-installer-containers.html
    """
    return [batch.Ulimit(name=batch.UlimitName.MEMLOCK, soft_limit=-1, hard_limit=-1)]
