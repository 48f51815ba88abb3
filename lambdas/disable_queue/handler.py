"""AWS Lambda function: disables an AWS Batch job queue when its budget is used up."""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from logic import notice, spend_of

logger = logging.getLogger("disable_queue")
logger.setLevel(logging.INFO)


def handle(_event: Mapping[str, Any], context: Any) -> None:
    """Reads the budget. If it is used up, disables the queue and publishes a notification.

    The event is ignored: AWS Budgets also publishes other messages to the topic, all of them free text.
    Errors are raised, so that Lambda invokes the function again. A second run does no harm.
    """
    name, queue, tier = os.environ["BUDGET_NAME"], os.environ["JOB_QUEUE"], os.environ["TIER"]
    account = context.invoked_function_arn.split(":")[4]
    spend = spend_of(_client("budgets").describe_budget(AccountId=account, BudgetName=name)["Budget"])
    about = {"budget": name, "queue": queue, "spend": str(spend)}
    if not spend.exceeded:
        _log("left enabled: the budget is not used up", about)
        return
    _client("batch").update_job_queue(jobQueue=queue, state="DISABLED")
    _log("disabled", about)
    _client("sns").publish(TopicArn=os.environ["NOTIFICATION_TOPIC"], **notice(tier, queue, spend))


@cache
def _client(service: str) -> Any:
    return boto3.client(service)


def _log(message: str, about: Mapping[str, str]) -> None:
    logger.info(json.dumps({"message": message, **about}))
