"""What a budget says, and what to tell people of it. Pure.

The budget: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Spend:
    """What has been spent of a budget in its current period, and how much that may be."""

    actual: Decimal
    limit: Decimal
    unit: str

    @property
    def exceeded(self) -> bool:
        """Whether the budget is used up."""
        return self.actual >= self.limit

    def __str__(self) -> str:
        return f"{self.actual:.2f} of {self.limit:.2f} {self.unit}"


def spend_of(budget: Mapping[str, Any]) -> Spend:
    """Read a budget as DescribeBudget returns it. Its amounts are strings.

    Args:
        budget: the member ``Budget`` of the response.

    Raises:
        ValueError: it has no amounts; the message names what is missing.
    """
    try:
        limit, actual = budget["BudgetLimit"], budget["CalculatedSpend"]["ActualSpend"]
        return Spend(actual=Decimal(actual["Amount"]), limit=Decimal(limit["Amount"]), unit=limit["Unit"])
    except KeyError as error:
        raise ValueError(f"the budget must have BudgetLimit and ActualSpend, it lacks {error}") from error


def notice(tier: str, queue: str, spend: Spend) -> dict[str, str]:
    """What people are told: the parameters ``Subject`` and ``Message`` of Publish.

    Args:
        tier: the tier's name.
        queue: the ARN of its queue, which has been disabled.
        spend: what has been spent.
    """
    return {
        # At most 100 characters of ASCII, or SNS refuses it.
        "Subject": f"AWS Batch: the budget of tier {tier} is used up",
        "Message": "\n".join(
            [
                f"The monthly budget of tier {tier} is used up: {spend}.",
                f"Queue {queue} is DISABLED: it takes no new jobs; those that it has go on.",
                "It stays so until somebody enables it again:",
                f"  aws batch update-job-queue --job-queue {queue} --state ENABLED",
            ]
        ),
    }
