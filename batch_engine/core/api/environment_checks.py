"""Checks of the members of compute environments, and of their updates.

https://docs.aws.amazon.com/batch/latest/userguide/updating-compute-environments.html
"""

import re
from collections.abc import Iterable

from batch_engine.core.capacity.launch_plan import INFRASTRUCTURE
from batch_engine.core.capacity.ranking import BEST_FIT, STRATEGIES
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import ComputeEnvironment
from batch_engine.core.model.wire import Wire

IMAGE_TYPES = frozenset(
    (
        "ECS_AL2",
        "ECS_AL2_NVIDIA",
        "ECS_AL2023",
        "ECS_AL2023_NVIDIA",
        "EKS_AL2",
        "EKS_AL2_NVIDIA",
        "EKS_AL2023",
        "EKS_AL2023_NVIDIA",
    )
)
ENDED_IMAGE_TYPES = frozenset(image for image in IMAGE_TYPES if "AL2023" not in image)
"""Amazon Linux 2: since 30 June 2026 only existing environments run AWS's own images."""
MAX_TEMPLATE_OVERRIDES = 10
_NOT_UPDATED_ON_FARGATE = (
    "allocationStrategy",
    "bidPercentage",
    "ec2Configuration",
    "ec2KeyPair",
    "imageId",
    "instanceRole",
    "instanceTypes",
    "launchTemplate",
    "placementGroup",
    "tags",
    "type",
    "updatePolicy",
    "updateToLatestImageVersion",
)
"""As AWS Batch lists them: https://github.com/aws/aws-cdk/issues/27054."""
_GRAVITON = re.compile(r"(a1|[a-z]+\d+g[a-z]*)(\.|$)")
_GPUS = re.compile(r"[gp]\d")
_SERVICE_LINKED = "/AWSServiceRoleForBatch"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check_new(request: Wire) -> None:
    """Checks the members that only CreateComputeEnvironment has.

    Raises:
        ClientError: the environment is created DISABLED, or with a namespace or type that EKS cannot have.
    """
    if request.get("state") == "DISABLED":
        raise ClientError("A compute environment must be created in the ENABLED state")
    _check_images(request.get("computeResources") or {})
    if "eksConfiguration" not in request:
        return
    namespace = request["eksConfiguration"].get("kubernetesNamespace") or ""
    reserved = namespace == "default" or namespace.startswith("kube-")
    if reserved or not _NAMESPACE.fullmatch(namespace):
        raise ClientError(
            "kubernetesNamespace must be at most 63 lower-case letters, digits and hyphens, "
            f"and neither default nor kube-*, got {namespace[:64]}"
        )
    kind = (request.get("computeResources") or {}).get("type")
    if kind not in ("EC2", "SPOT"):
        raise ClientError(f"computeResources.type must be EC2 or SPOT for EKS, got {kind}")


def _check_images(resources: Wire) -> None:
    """Checks that a new environment uses Amazon Linux 2 only with an image of the customer's own.

    https://docs.aws.amazon.com/batch/latest/userguide/ecs-al2-ami-deprecation.html
    """
    if resources.get("imageId") or resources.get("launchTemplate"):
        return
    for entry in resources.get("ec2Configuration") or []:
        if entry["imageType"] in ENDED_IMAGE_TYPES and not entry.get("imageIdOverride"):
            raise ClientError(
                f"imageType {entry['imageType']} is no longer supported for new compute environments without "
                f"imageIdOverride: use {entry['imageType'].replace('AL2', 'AL2023')}"
            )


def check_instances(resources: Wire, *, on_eks: bool) -> None:
    """Checks the members that only environments with instances have.

    Raises:
        ClientError: in AWS Batch's own words where they are known.
    """
    _check_strategy(resources, on_eks=on_eks)
    delay = (resources.get("scalingPolicy") or {}).get("minScaleDownDelayMinutes") or 0
    if delay and not 20 <= delay <= 10_080:
        raise ClientError(f"minScaleDownDelayMinutes must be 0 or between 20 and 10080, got {delay}")
    bid = resources.get("bidPercentage")
    if bid is not None and not 0 <= bid <= 100:
        raise ClientError(f"bidPercentage must be between 0 and 100, got {bid}")
    for entry in resources.get("ec2Configuration") or []:
        if entry["imageType"] not in IMAGE_TYPES:
            raise ClientError("Invalid imageType in ComputeResources.ec2Configuration")
    _check_template(resources.get("launchTemplate") or {})
    architectures = {architecture_of(name) for name in resources["instanceTypes"]}
    if len(architectures) > 1:
        raise ClientError("instanceTypes of one compute environment must be of one CPU architecture")


def default_images(resources: Wire, *, on_eks: bool) -> list[Wire]:
    """Returns the default ``ec2Configuration`` for the kinds of instances of an environment."""
    if resources.get("imageId") or resources.get("launchTemplate"):
        return []
    kinds = sorted({"_NVIDIA" if _GPUS.match(name) else "" for name in resources["instanceTypes"]})
    prefix = "EKS" if on_eks else "ECS"
    return [{"imageType": f"{prefix}_AL2023{kind}"} for kind in kinds]


def architecture_of(instance_type: str) -> str:
    """Returns ``arm64`` for Graviton types, families and bundles; else ``x86_64``."""
    arm = instance_type == "default_arm64" or _GRAVITON.match(instance_type) is not None
    return "arm64" if arm else "x86_64"


def architectures_of(environments: Iterable[ComputeEnvironment]) -> set[str]:
    """Returns the CPU architectures of the instances of compute environments."""
    names = {name for item in environments for name in item.resources.get("instanceTypes") or []}
    return {architecture_of(name) for name in names}


def _check_strategy(resources: Wire, *, on_eks: bool) -> None:
    strategy, kind = resources.get("allocationStrategy"), resources["type"]
    if on_eks and strategy in (None, BEST_FIT):
        raise ClientError(f"allocationStrategy is required for EKS and cannot be {BEST_FIT}")
    strategy = strategy or BEST_FIT
    if strategy not in STRATEGIES:
        raise ClientError(f"allocationStrategy must be one of {', '.join(STRATEGIES)}, got {strategy}")
    if strategy.startswith("SPOT_") and kind != "SPOT":
        raise ClientError(f"allocationStrategy {strategy} is only for SPOT, got type {kind}")
    if strategy == "BEST_FIT_PROGRESSIVE_ORDERED" and kind != "EC2":
        raise ClientError(f"allocationStrategy {strategy} is only for EC2, got type {kind}")
    if kind == "SPOT" and strategy == BEST_FIT and not resources.get("spotIamFleetRole"):
        raise ClientError(f"spotIamFleetRole is required for SPOT with allocationStrategy {BEST_FIT}")


def _check_template(template: Wire) -> None:
    if template and bool(template.get("launchTemplateId")) == bool(template.get("launchTemplateName")):
        raise ClientError("launchTemplate needs either launchTemplateId or launchTemplateName, and not both")
    overrides = template.get("overrides") or []
    if len(overrides) > MAX_TEMPLATE_OVERRIDES:
        raise ClientError(
            f"launchTemplate must have at most {MAX_TEMPLATE_OVERRIDES} overrides, got {len(overrides)}"
        )


def check_update(environment: ComputeEnvironment, request: Wire) -> None:
    """Checks an update of a managed environment.

    Raises:
        ClientError: the environment must be replaced instead, or the value is out of range.
    """
    changes, current = request.get("computeResources") or {}, environment.resources
    role, present = request.get("serviceRole"), environment.service_role or ""
    if role and (_SERVICE_LINKED in role) != (_SERVICE_LINKED in present):
        raise ClientError("A compute environment cannot move between a service-linked role and another role")
    minutes = (request.get("updatePolicy") or {}).get("jobExecutionTimeoutMinutes")
    if minutes is not None and not 1 <= minutes <= 7200:
        raise ClientError(f"jobExecutionTimeoutMinutes must be between 1 and 7200, got {minutes}")
    _check_provider(current.get("managedInstancesProvider"), changes.get("managedInstancesProvider"))
    if str(current.get("type")).startswith("FARGATE"):
        _check_fargate_update(request, changes)
    if current.get("type") not in ("EC2", "SPOT"):
        if changes.get("type", current.get("type")) != current.get("type"):
            raise ClientError(f"type cannot be changed from {current.get('type')} to {changes['type']}")
        return
    if changes.get("type", "EC2") not in ("EC2", "SPOT"):
        raise ClientError(f"type cannot be changed from {current['type']} to {changes['type']}")
    desired = changes.get("desiredvCpus")
    if desired is not None and desired < current.get("desiredvCpus", 0):
        raise ClientError(
            f"desiredvCpus should not be less than its current value {current['desiredvCpus']}, got {desired}"
        )
    changed = [
        member for member in INFRASTRUCTURE if member in changes and changes[member] != current.get(member)
    ]
    if not changed:
        return
    if (current.get("allocationStrategy") or BEST_FIT) == BEST_FIT:
        raise ClientError(
            f"{', '.join(changed)} cannot be updated: allocationStrategy {BEST_FIT} does not support "
            "infrastructure updates"
        )
    if changes.get("allocationStrategy") == BEST_FIT:
        raise ClientError(f"allocationStrategy cannot be updated to {BEST_FIT}")
    if _SERVICE_LINKED not in present:
        raise ClientError(
            f"{', '.join(changed)} cannot be updated without the service role AWSServiceRoleForBatch"
        )


def _check_fargate_update(request: Wire, changes: Wire) -> None:
    given = {*changes, *(["updatePolicy"] if "updatePolicy" in request else [])}
    # The type is checked elsewhere, since a request may repeat the present type.
    if given & set(_NOT_UPDATED_ON_FARGATE) - {"type"}:
        raise ClientError(
            "The following parameters can't be updated for Fargate compute environment: "
            f"{', '.join(_NOT_UPDATED_ON_FARGATE)}."
        )


def _check_provider(current: Wire | None, changes: Wire | None) -> None:
    """Checks that an environment of managed instances keeps its kind of capacity."""
    template = (current or {}).get("instanceLaunchTemplate") or {}
    for member, default in (("capacityOptionType", "ON_DEMAND"), ("fipsEnabled", False)):
        before = template.get(member, default)
        wanted = ((changes or {}).get("instanceLaunchTemplate") or {}).get(member, before)
        if wanted != before:
            raise ClientError(f"{member} cannot be changed from {before} to {wanted}")
