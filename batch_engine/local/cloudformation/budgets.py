"""The resource type ``AWS::Budgets::Budget``, carried out through the API of AWS Budgets.

The local cloud costs nothing: a budget can be described, and its spending stays zero.
"""

from collections.abc import Mapping
from typing import Any

from batch_engine.local.aws.client import CallError
from batch_engine.local.cloudformation.resource import (
    Call,
    Resource,
    ResourceError,
    carry_out,
    check_known,
    generated_name,
)

BUDGET = "AWS::Budgets::Budget"
_PROPERTIES = frozenset({"Budget", "NotificationsWithSubscribers", "ResourceTags"})
_NAME_LENGTH_MAX = 100


class BudgetResources:
    """Creates, updates and deletes budgets.

    Args:
        call: reaches AWS Budgets; it may wait.
        account: the 12-digit AWS account of the budgets.
    """

    def __init__(self, call: Call, account: str) -> None:
        self._call = call
        self._account = account

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Creates a budget with its notifications; see ``ResourceHandler``."""
        check_known(resource_type, properties, _PROPERTIES)
        name = properties["Budget"].get("BudgetName") or generated_name(logical_id)[-_NAME_LENGTH_MAX:]
        request: dict[str, Any] = {"Budget": _budget(properties, name)}
        if notifications := properties.get("NotificationsWithSubscribers"):
            request["NotificationsWithSubscribers"] = [_numbered(one) for one in notifications]
        if tags := properties.get("ResourceTags"):
            request["ResourceTags"] = tags
        self._carry_out("CreateBudget", request)
        return Resource(physical_id=name, attributes={"Id": name})

    def update(
        self,
        resource_type: str,
        physical_id: str,
        logical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Resource:
        """Changes amount, period or filters in place, or creates a replacement; see ``ResourceHandler``."""
        if any(old.get(name) != new.get(name) for name in _PROPERTIES - {"Budget"}):
            return self.create(resource_type, logical_id, new)
        if old["Budget"].get("BudgetName") != new["Budget"].get("BudgetName"):
            return self.create(resource_type, logical_id, new)
        self._carry_out("UpdateBudget", {"NewBudget": _budget(new, physical_id)})
        return Resource(physical_id=physical_id, attributes={"Id": physical_id})

    def delete(self, _resource_type: str, physical_id: str) -> None:
        """Deletes a budget; see ``ResourceHandler``."""
        try:
            self._call("DeleteBudget", {"AccountId": self._account, "BudgetName": physical_id})
        except CallError as error:
            if error.code != "NotFoundException":
                raise ResourceError(str(error)) from error

    def _carry_out(self, operation: str, request: dict[str, Any]) -> None:
        carry_out(self._call, operation, {"AccountId": self._account, **request})


def _budget(properties: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the API's budget: its amounts are strings, and CloudFormation's are numbers."""
    budget = {**properties["Budget"], "BudgetName": name}
    if limit := budget.get("BudgetLimit"):
        budget["BudgetLimit"] = {"Amount": str(limit["Amount"]), "Unit": limit["Unit"]}
    return budget


def _numbered(entry: Mapping[str, Any]) -> dict[str, Any]:
    notification = entry["Notification"]
    return {
        "Notification": {**notification, "Threshold": float(notification["Threshold"])},
        "Subscribers": entry["Subscribers"],
    }
