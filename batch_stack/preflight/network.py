"""Networks from which jobs could not reach what they need."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings import ExistingNetworkSettings, IsolatedNetworkSettings, Settings

_ENDPOINTS = "ecs, ecs-agent, ecs-telemetry, ecr.api, ecr.dkr, logs and, as a gateway, s3"


def check_network(settings: Settings) -> Iterator[Finding]:
    """Check the way from jobs to AWS's services and to image registries."""
    network = settings.network
    isolated = isinstance(network, IsolatedNetworkSettings)
    if isinstance(network, ExistingNetworkSettings) and network.subnets == "isolated":
        isolated = True
        yield warning(
            "isolatedSubnets",
            f"network.subnets is isolated: without the VPC endpoints {_ENDPOINTS} in {network.vpc_id}, "
            "which are not made here, no job leaves RUNNABLE or STARTING",
        )
    for name, job in settings.jobs.items():
        if isolated and job.image is not None and ".dkr.ecr." not in job.image:
            yield warning(
                "unreachableRegistry",
                f"jobs.{name}.image should be of Amazon ECR in isolated subnets, which reach no other "
                f"registry, got {job.image!r}: copy it, or use a pull-through cache",
            )
