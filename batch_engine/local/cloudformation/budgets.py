"""``AWS::Budgets::Budget``, which MiniStack's CloudFormation lacks, carried out through its AWS Budgets API.

Nothing costs money on one machine: a budget is there and described, and nothing is ever spent of it.
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
        call: carries out an operation of AWS Budgets with the members that boto3 has for it; it may wait, so
            keep these methods off event loops.
        account: the 12-digit AWS account whose budgets they are.
    """

    def __init__(self, call: Call, account: str) -> None:
        self._call = call
        self._account = account

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Create a budget with its notifications.

        Raises:
            ResourceError: a property is not known, or AWS Budgets refused.
        """
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
        """Change a budget's amount, period or filters in place; for other notifications create another.

        Raises:
            ResourceError: a property is not known, or AWS Budgets refused.
        """
        if any(old.get(name) != new.get(name) for name in _PROPERTIES - {"Budget"}):
            return self.create(resource_type, logical_id, new)
        if old["Budget"].get("BudgetName") != new["Budget"].get("BudgetName"):
            return self.create(resource_type, logical_id, new)
        self._carry_out("UpdateBudget", {"NewBudget": _budget(new, physical_id)})
        return Resource(physical_id=physical_id, attributes={"Id": physical_id})

    def delete(self, _resource_type: str, physical_id: str) -> None:
        """Delete a budget; one that is gone already is no error.

        Raises:
            ResourceError: AWS Budgets refused.
        """
        try:
            self._call("DeleteBudget", {"AccountId": self._account, "BudgetName": physical_id})
        except CallError as error:
            if error.code != "NotFoundException":
                raise ResourceError(str(error)) from error

    def _carry_out(self, operation: str, request: dict[str, Any]) -> None:
        carry_out(self._call, operation, {"AccountId": self._account, **request})


def _budget(properties: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The API has amounts in strings, where CloudFormation has numbers."""
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
