"""Translates ``AWS::Batch::*`` properties of a template into requests of the AWS Batch API.

CloudFormation and the API use the same names, in PascalCase and in camelCase. So botocore's model of the API
drives the translation, and there is no table of members to keep up to date. An unknown property is an error.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

COMPUTE_ENVIRONMENT = "AWS::Batch::ComputeEnvironment"
JOB_QUEUE = "AWS::Batch::JobQueue"
JOB_DEFINITION = "AWS::Batch::JobDefinition"
SCHEDULING_POLICY = "AWS::Batch::SchedulingPolicy"
CONSUMABLE_RESOURCE = "AWS::Batch::ConsumableResource"
SERVICE_ENVIRONMENT = "AWS::Batch::ServiceEnvironment"
QUOTA_SHARE = "AWS::Batch::QuotaShare"

CREATE_OPERATIONS: Mapping[str, str] = {
    COMPUTE_ENVIRONMENT: "CreateComputeEnvironment",
    JOB_QUEUE: "CreateJobQueue",
    JOB_DEFINITION: "RegisterJobDefinition",
    SCHEDULING_POLICY: "CreateSchedulingPolicy",
    CONSUMABLE_RESOURCE: "CreateConsumableResource",
    SERVICE_ENVIRONMENT: "CreateServiceEnvironment",
    QUOTA_SHARE: "CreateQuotaShare",
}
"""The resource types, and the operation that creates each."""

NAME_PROPERTIES: Mapping[str, str] = {
    COMPUTE_ENVIRONMENT: "ComputeEnvironmentName",
    JOB_QUEUE: "JobQueueName",
    JOB_DEFINITION: "JobDefinitionName",
    SCHEDULING_POLICY: "Name",
    CONSUMABLE_RESOURCE: "ConsumableResourceName",
    SERVICE_ENVIRONMENT: "ServiceEnvironmentName",
    QUOTA_SHARE: "QuotaShareName",
}
"""The property with the name of a resource; CloudFormation generates a name if it is absent."""

# Properties for CloudFormation itself: the create requests of the API do not have them.
_CLOUDFORMATION_ONLY: Mapping[str, frozenset[str]] = {
    COMPUTE_ENVIRONMENT: frozenset(
        {"ReplaceComputeEnvironment", "UpdatePolicy", "ComputeResources.UpdateToLatestImageVersion"}
    ),
    JOB_DEFINITION: frozenset({"ResourceRetentionPolicy"}),
}


class PropertyError(ValueError):
    """A property is unknown to AWS Batch, or its value has the wrong type.

    Args:
        resource_type: such as ``AWS::Batch::JobQueue``.
        path: the property's path, such as ``Properties.ComputeEnvironmentOrder[0].Order``.
        value: the property's value.
        problem: the error, and the values that are allowed.
    """

    def __init__(self, resource_type: str, path: str, value: object, problem: str) -> None:
        super().__init__(f"{resource_type}: {problem}, got {value!r} at {path}")
        self.resource_type = resource_type
        self.path = path


def create_request(
    resource_type: str, properties: Mapping[str, Any], *, name: str
) -> tuple[str, dict[str, Any]]:
    """Translates a resource into the request that creates it.

    Args:
        resource_type: one of `CREATE_OPERATIONS`.
        properties: the resource's properties, with every intrinsic function resolved.
        name: the name of the resource if the template gives none.

    Returns:
        The operation, such as ``CreateComputeEnvironment``, and its request as on the wire.

    Raises:
        PropertyError: a property is unknown or its value has the wrong type.
        ValueError: the resource type is not in `CREATE_OPERATIONS`.
    """
    if resource_type not in CREATE_OPERATIONS:
        known = ", ".join(CREATE_OPERATIONS)
        raise ValueError(f"resource type must be one of {known}, got {resource_type!r}")
    operation = CREATE_OPERATIONS[resource_type]
    request = to_request(resource_type, operation, _without_cloudformation_only(resource_type, properties))
    name_member = NAME_PROPERTIES[resource_type]
    request.setdefault(name_member[0].lower() + name_member[1:], name)
    return operation, request


def to_request(
    resource_type: str, operation: str, properties: Mapping[str, Any], *, root: str = "Properties"
) -> dict[str, Any]:
    """Translates properties into the members of one operation's request.

    Args:
        resource_type: the type of the resource, for errors.
        operation: an operation of the AWS Batch API, such as ``UpdateJobQueue``.
        properties: PascalCase properties, each a member of the operation's request.
        root: the first part of the paths in errors.

    Raises:
        PropertyError: a property is unknown or its value has the wrong type.
    """
    shape = _service_model().operation_model(operation).input_shape
    return _Translation(resource_type).structure(shape, properties, root)


def has_operation(operation: str) -> bool:
    """Returns whether the AWS Batch API has an operation of this name."""
    return operation in _service_model().operation_names


def to_pascal_case(operation: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a response with its members in PascalCase, as in Step Functions; keys of maps stay unchanged.

    Args:
        operation: an operation of the AWS Batch API, such as ``DescribeJobs``.
        response: its response as on the wire.
    """
    spelt: dict[str, Any] = _pascal(_service_model().operation_model(operation).output_shape, response)
    return spelt


def _pascal(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return {
            key[0].upper() + key[1:]: _pascal(shape.members[key], member)
            for key, member in value.items()
            if key in shape.members
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_pascal(shape.member, item) for item in value]
    return value


def is_true(value: object) -> bool:
    """Returns the value of a boolean property, which may be text in a template."""
    return str(value).lower() == "true"


@lru_cache(maxsize=1)
def _service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")


def _without_cloudformation_only(resource_type: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    unsent = _CLOUDFORMATION_ONLY.get(resource_type, frozenset())
    kept = {key: value for key, value in properties.items() if key not in unsent}
    for path in unsent:
        parent, _, child = path.partition(".")
        if child and isinstance(kept.get(parent), Mapping):
            kept[parent] = {key: value for key, value in kept[parent].items() if key != child}
    return kept


class _Translation:
    """Walks over properties and the API's shapes side by side."""

    def __init__(self, resource_type: str) -> None:
        self._type = resource_type

    def _error(self, path: str, value: object, problem: str) -> PropertyError:
        return PropertyError(self._type, path, value, problem)

    def value(self, shape: Shape, value: object, path: str) -> object:
        """Translates a value of any shape."""
        readers: Mapping[str, Callable[[Shape, object, str], object]] = {
            "structure": self.structure,
            "list": self._list,
            "map": self._map,
            "string": self._string,
            "integer": self._integer,
            "long": self._integer,
            "float": self._number,
            "double": self._number,
            "boolean": self._boolean,
        }
        if shape.type_name not in readers:
            raise self._error(path, value, f"values of the API's type {shape.type_name} are not translated")
        return readers[shape.type_name](shape, value, path)

    def structure(self, shape: Shape, value: object, path: str) -> dict[str, Any]:
        """Translates the members of an object."""
        if not isinstance(value, Mapping):
            raise self._error(path, value, "must be an object")
        names = {member.lower(): member for member in shape.members}
        translated: dict[str, Any] = {}
        for key, member_value in value.items():
            member_path = f"{path}.{key}"
            name = names.get(str(key).lower())
            if name is None:
                known = ", ".join(sorted(name[0].upper() + name[1:] for name in shape.members))
                raise self._error(member_path, member_value, f"unknown property (known: {known})")
            translated[name] = self.value(shape.members[name], member_value, member_path)
        return translated

    def _list(self, shape: Shape, value: object, path: str) -> list[object]:
        if not isinstance(value, list):
            raise self._error(path, value, "must be a list")
        return [self.value(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]

    def _map(self, shape: Shape, value: object, path: str) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise self._error(path, value, "must be an object")
        return {str(key): self.value(shape.value, item, f"{path}.{key}") for key, item in value.items()}

    def _string(self, shape: Shape, value: object, path: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float):
            raise self._error(path, value, "must be a string")
        # The CDK writes "managed" for the API's MANAGED, and AWS accepts it.
        spellings: dict[str, str] = {word.lower(): word for word in getattr(shape, "enum", ())}
        return spellings.get(str(value).lower(), str(value))

    def _integer(self, _: Shape, value: object, path: str) -> int:
        number = self._finite(value)
        if number is None or not number.is_integer():
            raise self._error(path, value, "must be an integer")
        return int(number)

    def _number(self, _: Shape, value: object, path: str) -> float:
        number = self._finite(value)
        if number is None:
            raise self._error(path, value, "must be a number")
        return number

    def _finite(self, value: object) -> float | None:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            return None
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def _boolean(self, _: Shape, value: object, path: str) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        raise self._error(path, value, "must be true or false")
