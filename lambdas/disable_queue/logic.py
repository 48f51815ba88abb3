"""Pure functions: reads a budget and writes the notification about it.

The budget: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Spend:
    """The actual spend of a budget in its current period, and its limit."""

    actual: Decimal
    limit: Decimal
    unit: str

    @property
    def exceeded(self) -> bool:
        """True if the spend has reached the limit."""
        return self.actual >= self.limit

    def __str__(self) -> str:
        return f"{self.actual:.2f} of {self.limit:.2f} {self.unit}"


def spend_of(budget: Mapping[str, Any]) -> Spend:
    """Reads a budget from DescribeBudget's response. Its amounts are strings.

    Args:
        budget: the member ``Budget`` of the response.

    Raises:
        ValueError: an amount is missing. The message names it.
    """
    try:
        limit, actual = budget["BudgetLimit"], budget["CalculatedSpend"]["ActualSpend"]
        return Spend(actual=Decimal(actual["Amount"]), limit=Decimal(limit["Amount"]), unit=limit["Unit"])
    except KeyError as error:
        raise ValueError(
            f"the budget must have BudgetLimit and ActualSpend, but {error} is missing"
        ) from error


def notice(tier: str, queue: str, spend: Spend) -> dict[str, str]:
    """Returns the notification as the parameters ``Subject`` and ``Message`` of Publish.

    Args:
        tier: the name of the tier.
        queue: the ARN of the disabled queue.
        spend: the spend and the limit of the budget.
    """
    return {
        # SNS accepts at most 100 ASCII characters.
        "Subject": f"AWS Batch: the budget of tier {tier} is used up",
        "Message": "\n".join(
            [
                f"The monthly budget of tier {tier} is used up: {spend}.",
                f"Queue {queue} is DISABLED: it accepts no new jobs. Jobs submitted before still run.",
                "To enable it again:",
                f"  aws batch update-job-queue --job-queue {queue} --state ENABLED",
            ]
        ),
    }
