"""Checks of networks: jobs have to reach the AWS services and registries that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from batch_stack.preflight.finding import Finding, error, warning
from batch_stack.settings.checks import zone_problems
from batch_stack.settings.images import PRIVATE_ECR
from batch_stack.settings.network import (
    NEEDED_ENDPOINTS,
    EndpointName,
    ExistingNetworkSettings,
    IsolatedNetworkSettings,
)
from batch_stack.settings.sections import Sections
from batch_stack.settings.services import DataService

# A token of CDK, whose value only the deployment knows.
_DEPLOYED = "${Token["
_LOCAL_ZONE = re.compile(r"-\d+-")


@dataclass(frozen=True, slots=True)
class GivenNetwork:
    """A VPC that was given in Python, in place of the settings' `network`.

    Attributes:
        subnets: the number of subnets that jobs run in.
        zones: the number of Availability Zones that they are in.
        isolated: whether they have no route to the internet.
    """

    subnets: int
    zones: int
    isolated: bool


def check_network(settings: Sections, given: GivenNetwork | None = None) -> Iterator[Finding]:
    """Checks the routes from jobs to AWS services and to image registries.

    Args:
        settings: the settings to provision.
        given: a VPC in place of the settings' network.
    """
    network = settings.network
    isolated = given is not None and given.isolated
    if isinstance(network, ExistingNetworkSettings) and network.subnets == "isolated":
        isolated = True
        yield warning(
            "isolatedSubnets",
            "network.subnets",
            f"is isolated: without the VPC endpoints {NEEDED_ENDPOINTS} in {network.vpc_id}, "
            "which are not made here, no job leaves RUNNABLE or STARTING",
        )
    if isinstance(network, IsolatedNetworkSettings):
        yield from _check_endpoints(settings, network)
    if isinstance(network, ExistingNetworkSettings):
        yield from _check_local_zones(settings, network)
    yield from _check_zones(settings, given)
    for name, job in settings.jobs.items():
        if job.image is None or _DEPLOYED in job.image or PRIVATE_ECR.fullmatch(job.image):
            continue
        if isinstance(network, IsolatedNetworkSettings):
            yield error(
                "unreachableRegistry",
                f"jobs.{name}.image",
                "must be of a private registry of Amazon ECR as long as network.mode is "
                f"isolated, which lets no job reach another registry, got {job.image!r}: copy it into a "
                "repository of yours",
            )
        elif isolated:
            # The owner of the VPC may have a registry in it.
            yield warning(
                "unreachableRegistry",
                f"jobs.{name}.image",
                "should be of a private registry of Amazon ECR in isolated subnets, which "
                f"reach no registry outside, got {job.image!r}: copy it into a repository of yours",
            )


def _check_local_zones(settings: Sections, network: ExistingNetworkSettings) -> Iterator[Finding]:
    """Refuses Local Zones for compute environments on Fargate.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_ComputeResource.html (`subnets`)
    """
    for name, compute in settings.compute.items():
        is_fargate = compute.is_provisioned and compute.platform_capability == "fargate"
        for index, zone in enumerate(network.availability_zones):
            if is_fargate and _LOCAL_ZONE.search(zone):
                yield error(
                    "localZone",
                    f"network.availability_zones[{index}]",
                    "must be a zone of the Region itself for "
                    f"compute.{name}, because AWS Batch has no Fargate in Local Zones, got {zone!r}",
                )
                break


def _check_zones(settings: Sections, given: GivenNetwork | None) -> Iterator[Finding]:
    """Checks a network that is not in the settings; `settings.checks` checks those that are."""
    network = settings.network
    problems: Iterable[tuple[str, str]] = ()
    if given is not None:
        demand = ("vpc", "must have jobs' subnets in")
        problems = zone_problems(settings, demand, zones=given.zones, subnets=given.subnets)
    elif network.mode != "existing":
        demand = ("network.max_azs", "must be")
        problems = zone_problems(settings, demand, zones=network.max_azs, subnets=network.max_azs)
    yield from (error("zones", path, problem) for path, problem in problems)


def _check_endpoints(settings: Sections, network: IsolatedNetworkSettings) -> Iterator[Finding]:
    secrets = [(name, secret) for name, job in settings.jobs.items() for secret in job.secrets.values()]
    needed: dict[EndpointName, list[str]] = {
        "secretsmanager": [
            *(f"jobs.{name}.uses, which has database" for name in settings.users_of("database")),
            *(f"jobs.{name}.secrets" for name, secret in secrets if secret.secret is not None),
        ],
        "ssm": [f"jobs.{name}.secrets" for name, secret in secrets if secret.parameter is not None],
    }
    for endpoint, users in needed.items():
        if users and endpoint not in network.endpoints:
            yield error(
                "missingEndpoint",
                "network.endpoints",
                f"must have {endpoint!r} for {users[0]}: ECS fetches secrets through it, "
                "and without them no job starts",
            )
    talks: dict[EndpointName, DataService] = {"events": "event_bus", "sqs": "work_queue"}
    for endpoint, service in talks.items():
        users = settings.users_of(service)
        if users and endpoint not in network.endpoints:
            yield warning(
                "missingEndpoint",
                "network.endpoints",
                f"should have {endpoint!r} for jobs.{users[0]}.uses, which has {service}: "
                "jobs cannot reach it otherwise",
            )
