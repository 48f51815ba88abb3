"""Our CloudFormation resource types in the shape that MiniStack's table of resource handlers has."""

from collections.abc import Callable
from typing import Any

from batch_engine.local.cloudformation.budgets import BudgetResources
from batch_engine.local.cloudformation.network import NetworkResources
from batch_engine.local.cloudformation.resources import Resource, ResourceError, StackResources

RULE = "AWS::Events::Rule"


def checking_targets(
    handler: dict[str, Any], refusal: Callable[[dict[str, Any]], str | None]
) -> dict[str, Any]:
    """Have rules checked before MiniStack makes or changes them: it puts their targets in unseen.

    Args:
        handler: MiniStack's, for rules.
        refusal: why EventBridge does not take a target; None where it does.
    """

    def create(logical_id: str, properties: dict[str, Any], *rest: Any) -> Any:
        check(properties)
        return handler["create"](logical_id, properties, *rest)

    def update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        check(new)
        return handler["update"](physical_id, old, new, *rest)

    def check(properties: dict[str, Any]) -> None:
        reasons = (refusal(target) for target in properties.get("Targets") or [])
        if reason := next((reason for reason in reasons if reason is not None), None):
            raise ResourceError(
                f'Resource handler returned message: "{reason}" '
                "(Service: EventBridge, Operation: PutTargets, Status Code: 400)"
            )

    return {**handler, "create": create, "update": update}


def handlers_of(
    resource_type: str, resources: StackResources | NetworkResources | BudgetResources
) -> dict[str, Any]:
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
