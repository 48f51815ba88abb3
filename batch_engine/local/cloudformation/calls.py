"""What resource types that are carried out through another service's API have in common."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from batch_engine.local.aws.client import CallError
from batch_engine.local.cloudformation.resources import ResourceError

Call = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Carries out an operation of an API of AWS with the members that boto3 has for it."""


def check_known(resource_type: str, properties: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a property that would be left out otherwise.

    Args:
        resource_type: as CloudFormation calls it.
        properties: the resource's.
        known: the names of those that are carried out.

    Raises:
        ResourceError: there is another one.
    """
    if unknown := sorted(set(properties) - set(known)):
        raise ResourceError(
            f"{resource_type}: extraneous key [{unknown[0]}] is not supported by the local cloud "
            f"(known: {', '.join(sorted(known))})"
        )


def carry_out(call: Call, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Carry out an operation for CloudFormation.

    Args:
        call: reaches the service.
        operation: the operation's name.
        request: its members.

    Raises:
        ResourceError: the service refused.
    """
    try:
        return call(operation, request)
    except CallError as error:
        raise ResourceError(str(error)) from error
