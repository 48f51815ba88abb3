"""Memory in place of the volume at /scratch, on each kind of job."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.stack

JOB = {
    "image": "busybox:1.37",
    "user": "1000",
    "volumes": {"scratch": {"type": "tmpfs", "path": "/scratch", "size_mib": 64}},
}
SETTINGS = {
    "compute": {"on_demand": {"type": "on_demand"}, "rented": {"type": "managed_instances"}},
    "tiers": {
        "plain": {"priority": 1, "compute": ["on_demand"]},
        "rented": {"priority": 1, "compute": ["rented"]},
    },
    "jobs": {
        "single": JOB,
        "managed": {**JOB, "platform": "managed_instances"},
        "nodes": {**JOB, "nodes": {"count": 2, "groups": [{"nodes": "1"}]}},
    },
}


def test_tmpfs_is_open_to_every_user_and_the_only_thing_at_scratch(
    synth: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> None:
    containers = []
    for resource in synth(SETTINGS)["Resources"].values():
        if resource["Type"] == "AWS::Batch::JobDefinition":
            properties = resource["Properties"]
            if "NodeProperties" in properties:
                ranges = properties["NodeProperties"]["NodeRangeProperties"]
                containers += [one["Container"] for one in ranges]
            elif "EcsProperties" in properties:
                (task,) = properties["EcsProperties"]["TaskProperties"]
                containers += [{**one, "Volumes": task.get("Volumes")} for one in task["Containers"]]
            else:
                containers.append(properties["ContainerProperties"])
    assert len(containers) == 4
    for container in containers:
        assert container["LinuxParameters"] == {
            "InitProcessEnabled": True,
            "Tmpfs": [
                {
                    "ContainerPath": "/scratch",
                    "Size": 64,
                    "MountOptions": ["rw", "exec", "nosuid", "nodev", "mode=1777"],
                }
            ],
        }
        assert not container.get("MountPoints")
        assert not container.get("Volumes")
