"""Budgets, and databases whose password RDS makes, in stacks of the local cloud."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack

pytestmark = pytest.mark.cloud

ACCOUNT = "000000000000"
TOPIC = "arn:aws:sns:us-east-1:000000000000:people"


def _template(*, amount: float = 10, percent: object = 80, **more: Any) -> dict[str, Any]:
    notification = {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": percent,
        "ThresholdType": "PERCENTAGE",
    }
    budget = {
        "Budget": {
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": amount, "Unit": "USD"},
            "CostFilters": {"TagKeyValue": ["user:tag$a/b"]},
        },
        "NotificationsWithSubscribers": [
            {"Notification": notification, "Subscribers": [{"SubscriptionType": "SNS", "Address": TOPIC}]}
        ],
        **more,
    }
    return {
        "Resources": {"Budget": {"Type": "AWS::Budgets::Budget", "Properties": budget}},
        "Outputs": {"Budget": {"Value": {"Ref": "Budget"}}},
    }


def test_a_budget_is_described_changed_in_place_replaced_and_deleted(cloud: LocalCloud) -> None:
    stack, budgets = Stack(cloud, "budget"), cloud.client("budgets")
    assert stack.deploy(_template()) == "CREATE_COMPLETE", stack.reasons()
    name = stack.outputs()["Budget"]
    budget = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    assert budget["BudgetLimit"] == {"Amount": "10", "Unit": "USD"}
    assert budget["CostFilters"] == {"TagKeyValue": ["user:tag$a/b"]}

    assert stack.deploy(_template(amount=12.5), update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Budget"] == name
    budget = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]
    assert budget["BudgetLimit"]["Amount"] == "12.5"

    assert stack.deploy(_template(percent="90"), update=True) == "UPDATE_COMPLETE", stack.reasons()
    successor = stack.outputs()["Budget"]
    found = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=successor)
    assert [one["Threshold"] for one in found["Notifications"]] == [90.0]
    with pytest.raises(budgets.exceptions.NotFoundException):
        budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name)

    stack.delete()
    with pytest.raises(budgets.exceptions.NotFoundException):
        budgets.describe_budget(AccountId=ACCOUNT, BudgetName=successor)


def test_a_property_that_budgets_do_not_have_is_refused_by_name(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "odd-budget")
    assert stack.deploy(_template(Colour="red")) == "ROLLBACK_COMPLETE"
    assert "extraneous key [Colour] is not supported by the local cloud" in stack.reasons()


def _cluster(**properties: Any) -> dict[str, Any]:
    cluster = {"Engine": "aurora-postgresql", "MasterUsername": "postgres", **properties}
    outputs = {"Cluster": {"Value": {"Ref": "Cluster"}}}
    if "ManageMasterUserPassword" in properties:
        outputs["Secret"] = {"Value": {"Fn::GetAtt": ["Cluster", "MasterUserSecret.SecretArn"]}}
    return {
        "Resources": {"Cluster": {"Type": "AWS::RDS::DBCluster", "Properties": cluster}},
        "Outputs": outputs,
    }


def test_a_managed_password_is_a_secret_for_as_long_as_its_cluster_is_there(cloud: LocalCloud) -> None:
    stack, secrets = Stack(cloud, "cluster"), cloud.client("secretsmanager")
    managed = {"ManageMasterUserPassword": "true"}
    assert stack.deploy(_cluster(**managed)) == "CREATE_COMPLETE", stack.reasons()
    out = stack.outputs()
    secret = json.loads(secrets.get_secret_value(SecretId=out["Secret"])["SecretString"])
    assert secret["username"] == "postgres"
    assert len(secret["password"]) >= 24

    updated = _cluster(**managed, BackupRetentionPeriod=9)
    assert stack.deploy(updated, update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs() == out
    assert json.loads(secrets.get_secret_value(SecretId=out["Secret"])["SecretString"]) == secret

    stack.delete()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        secrets.get_secret_value(SecretId=out["Secret"])


def test_a_cluster_with_a_password_of_its_own_gets_no_secret(cloud: LocalCloud) -> None:
    stack = Stack(cloud, "own-password")
    assert stack.deploy(_cluster(MasterUserPassword="given")) == "CREATE_COMPLETE", stack.reasons()
    name = f"rds!cluster-{stack.outputs()['Cluster']}"
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloud.client("secretsmanager").describe_secret(SecretId=name)
