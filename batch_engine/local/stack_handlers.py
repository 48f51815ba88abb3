"""Our CloudFormation resource types in the shape that MiniStack's table of resource handlers has."""

from typing import Any

from batch_engine.local.stack_resources import Resource, StackResources


def handlers_of(resource_type: str, resources: StackResources) -> dict[str, Any]:
    """Adapt one resource type to the signatures that MiniStack calls.

    Args:
        resource_type: such as ``AWS::Batch::JobQueue``.
        resources: carries out what CloudFormation asks for.
    """

    def create(logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        return _answer(resources.create(resource_type, logical_id, properties))

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], _stack: str, logical_id: str
    ) -> tuple[str, dict[str, str]]:
        return _answer(resources.update(resource_type, physical_id, logical_id, old, new))

    def delete(physical_id: str, _properties: dict[str, Any]) -> None:
        resources.delete(resource_type, physical_id)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _answer(resource: Resource) -> tuple[str, dict[str, str]]:
    return resource.physical_id, resource.attributes
