"""A resource as CloudFormation handles it, and the calls that every resource type makes."""

import secrets
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batch_engine.local.aws.client import CallError

Call = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Carries out an operation of an AWS API; takes and returns the members that boto3 has for it."""

_NAME_LENGTH_MAX = 128
_SUFFIX_LENGTH = 16


class ResourceError(Exception):
    """CloudFormation could not create, update or delete a resource; the text is the event's reason."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The record that CloudFormation keeps of a resource.

    Args:
        physical_id: the answer to ``Ref``.
        attributes: the answers to ``Fn::GetAtt``.
    """

    physical_id: str
    attributes: dict[str, str]


class ResourceHandler(Protocol):
    """Creates, updates and deletes resources of one or more types.

    Each method may wait, so it runs on a thread. It raises ResourceError if a property is not supported or
    the service refuses the request.
    """

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Creates a resource and waits until it can be used."""
        ...

    def update(
        self,
        resource_type: str,
        physical_id: str,
        logical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Resource:
        """Updates a resource in place, or creates its replacement.

        If the physical id of the result differs, the resource was replaced: the caller deletes the old one
        when the whole update has succeeded.
        """
        ...

    def delete(self, resource_type: str, physical_id: str) -> None:
        """Deletes a resource and waits until it is gone; a resource that does not exist is no error."""
        ...


def generated_name(logical_id: str) -> str:
    """Returns a name as CloudFormation generates it: the logical id and a random suffix."""
    alphabet = string.ascii_letters + string.digits
    suffix = "".join(secrets.choice(alphabet) for _ in range(_SUFFIX_LENGTH))
    return f"{logical_id[: _NAME_LENGTH_MAX - _SUFFIX_LENGTH - 1]}-{suffix}"


def check_known(resource_type: str, properties: Mapping[str, Any], known: Collection[str]) -> None:
    """Raises ResourceError if a resource has a property that its handler would ignore.

    Args:
        resource_type: CloudFormation's name for the type.
        properties: the resource's properties.
        known: the names of the properties that the handler supports.
    """
    if unknown := sorted(set(properties) - set(known)):
        raise ResourceError(
            f"{resource_type}: extraneous key [{unknown[0]}] is not supported by the local cloud "
            f"(known: {', '.join(sorted(known))})"
        )


def carry_out(call: Call, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Carries out an operation; raises ResourceError if the service refuses it.

    Args:
        call: reaches the service.
        operation: the operation's name.
        request: its members.
    """
    try:
        return call(operation, request)
    except CallError as error:
        raise ResourceError(str(error)) from error
