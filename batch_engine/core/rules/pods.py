"""Checks of the EKS pod of a job definition.

https://docs.aws.amazon.com/batch/latest/APIReference/API_EksPodProperties.html
"""

import re

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.wire import Wire

MAX_CONTAINERS = 10
DNS_POLICIES = ("Default", "ClusterFirst", "ClusterFirstWithHostNet")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
VOLUME_SOURCES = ("hostPath", "emptyDir", "secret", "persistentVolumeClaim")
GPU = "nvidia.com/gpu"
MIN_MEMORY_MIB = 4
_MEMORY = re.compile(r"[0-9]{1,9}Mi")
_CPU = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")


def check_pod(properties: Wire) -> None:
    """Checks ``eksProperties``.

    Raises:
        ClientError: AWS Batch would refuse it.
    """
    pod = properties.get("podProperties") or {}
    containers, initial = pod.get("containers") or [], pod.get("initContainers") or []
    if not 1 <= len(containers) <= MAX_CONTAINERS:
        raise ClientError(f"A pod must have between 1 and {MAX_CONTAINERS} containers, got {len(containers)}")
    if len(initial) > MAX_CONTAINERS:
        raise ClientError(f"A pod must have at most {MAX_CONTAINERS} initContainers, got {len(initial)}")
    names = [container.get("name", "Default") for container in (*containers, *initial)]
    if len(set(names)) < len(names):
        raise ClientError(f"Container names of a pod must be unique, got {', '.join(names)}")
    policy = pod.get("dnsPolicy", DNS_POLICIES[0])
    if policy not in DNS_POLICIES:
        raise ClientError(f"dnsPolicy must be one of {', '.join(DNS_POLICIES)}, got {policy}")
    for volume in pod.get("volumes") or []:
        if sum(source in volume for source in VOLUME_SOURCES) != 1:
            raise ClientError(f"Volume {volume['name']} must have one of {', '.join(VOLUME_SOURCES)}")
    for container in (*containers, *initial):
        _check_container(container)


def _check_container(container: Wire) -> None:
    policy = container.get("imagePullPolicy", PULL_POLICIES[0])
    if policy not in PULL_POLICIES:
        raise ClientError(f"imagePullPolicy must be one of {', '.join(PULL_POLICIES)}, got {policy}")
    for variable in container.get("env") or []:
        if variable["name"].startswith("AWS_BATCH"):
            raise ClientError(
                f"Environment variable names cannot start with AWS_BATCH, got {variable['name']}"
            )
    wanted = container.get("resources") or {}
    limits, requests = wanted.get("limits") or {}, wanted.get("requests") or {}
    for kind, quantity in (*limits.items(), *requests.items()):
        _check_quantity(kind, quantity)
    for kind in ("memory", GPU):
        if kind in limits and kind in requests and limits[kind] != requests[kind]:
            raise ClientError(
                f"limits and requests of {kind} must be equal, got {limits[kind]} and {requests[kind]}"
            )
    if "cpu" in limits and "cpu" in requests and float(limits["cpu"]) < float(requests["cpu"]):
        raise ClientError(
            f"limits of cpu must be at least its requests, got {limits['cpu']} and {requests['cpu']}"
        )


def _check_quantity(kind: str, quantity: str) -> None:
    if kind == "memory":
        if not _MEMORY.fullmatch(quantity) or int(quantity[:-2]) < MIN_MEMORY_MIB:
            raise ClientError(f"memory must be whole MiB of at least {MIN_MEMORY_MIB}Mi, got {quantity[:64]}")
    elif kind == "cpu":
        if not _CPU.fullmatch(quantity) or float(quantity) <= 0 or float(quantity) * 4 % 1:
            raise ClientError(f"cpu must be a multiple of 0.25, got {quantity[:64]}")
    elif kind == GPU:
        if not (quantity.isascii() and quantity.isdigit()):
            raise ClientError(f"{GPU} must be a whole number, got {quantity[:64]}")
    else:
        raise ClientError(f"resources must be of cpu, memory, {GPU}, got {kind[:64]}")
