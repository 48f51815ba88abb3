"""The names that AWS Batch gives to things: ARNs and ids.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
"""

import re
from dataclasses import dataclass
from typing import Protocol

from batch_engine.core.model.errors import ClientError

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class IdFactory(Protocol):
    """The source of new ids. It is an argument of the core, so that a run can be repeated exactly."""

    def uuid(self) -> str:
        """Returns a new UUID, for a job or a compute environment."""
        ...

    def hex(self, length: int) -> str:
        """Returns new lower-case hexadecimal digits, for an instance or a task id."""
        ...


@dataclass(frozen=True, slots=True)
class Arns:
    """Builds and reads the ARNs of one account in one Region."""

    account: str
    region: str
    partition: str = "aws"

    def batch(self, kind: str, name: str) -> str:
        """Returns the ARN of a Batch resource, such as ``job-queue/standard``."""
        return f"arn:{self.partition}:batch:{self.region}:{self.account}:{kind}/{name}"

    def ecs(self, resource: str) -> str:
        """Returns the ARN of an ECS resource, such as ``task/cluster/id``."""
        return f"arn:{self.partition}:ecs:{self.region}:{self.account}:{resource}"

    def name_of(self, reference: str, kind: str) -> str:
        """Returns the bare name behind a name or an ARN: Batch takes either.

        Args:
            reference: ``standard`` or ``arn:aws:batch:us-east-1:123456789012:job-queue/standard``.
            kind: the expected kind of resource, such as ``job-queue``.

        Raises:
            ClientError: the ARN belongs to another service, account, Region or kind.
        """
        if not reference.startswith("arn:"):
            return reference
        prefix = self.batch(kind, "")
        if not reference.startswith(prefix) or reference == prefix:
            raise ClientError(
                f"{reference} is not the ARN of a {kind} of account {self.account} in {self.region}"
            )
        return reference[len(prefix) :]
