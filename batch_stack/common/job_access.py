"""What the platform's resources mean to a job: variables, secrets and permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_batch as batch
from aws_cdk import aws_iam as iam


@dataclass(frozen=True)
class JobResources:
    """Something that a job may use, and how it learns of it.

    Attributes:
        environment: values by the names of environment variables.
        secrets: values that ECS fetches when the job starts, by the names of environment variables.
        grants: each is called with the job role, and allows it what the resource is for.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, batch.Secret] = field(default_factory=dict)
    grants: Sequence[Callable[[iam.IRole], object]] = ()


def combined(parts: Iterable[JobResources]) -> JobResources:
    """All of several, as one; a later part's variable replaces an earlier one's of the same name.

    A name is a variable or a secret: ECS starts no container that has it as both.

    Args:
        parts: in order of precedence, the last one wins.
    """
    environment: dict[str, str] = {}
    secrets: dict[str, batch.Secret] = {}
    grants: list[Callable[[iam.IRole], object]] = []
    for part in parts:
        environment = {k: v for k, v in environment.items() if k not in part.secrets} | {**part.environment}
        secrets = {k: v for k, v in secrets.items() if k not in part.environment} | {**part.secrets}
        grants.extend(part.grants)
    return JobResources(environment, secrets, grants)
