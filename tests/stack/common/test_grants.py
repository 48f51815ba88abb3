"""Grants are those of CDK: they say whether they succeeded, and resources can wait for them."""

from collections.abc import Callable
from typing import Any

import pytest

import batch_stack
from batch_stack.common.retention import DataPolicy
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

SETTINGS = {
    "compute": {"spot": {"type": "spot"}},
    "tiers": {
        "shared": {"priority": 1, "compute": ["spot"], "fair_share": {"shares": {"red": 1}}},
        "plain": {"priority": 2, "compute": ["spot"]},
    },
    "jobs": {
        "work": {"image": "public.ecr.aws/docker/library/busybox:1", "tiers": ["shared", "plain"]},
    },
}
# What each grant allows, with a key where there may be one.
ALLOWED = {
    "submit": ["batch:SubmitJob", "batch:TagResource"],
    "read": ["batch:DescribeJobs", "batch:ListJobs"],
    "stop": ["batch:CancelJob", "batch:TerminateJob"],
    "publish": ["kms:Decrypt", "kms:GenerateDataKey", "sns:Publish"],
    "work": [
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ],
    "table": [
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    ],
    "bus": ["events:PutEvents"],
}


class World:
    """A platform, services with a key, and what grants on them."""

    def __init__(self, cdk: Any, app: Any) -> None:
        self.cdk, self.stack = cdk, cdk.Stack(app, "granted")
        platform = batch_stack.BatchPlatform(
            self.stack, "Batch", settings=parse_settings(SETTINGS, source="test")
        )
        policy = DataPolicy(key=cdk.aws_kms.Key(self.stack, "Key"))
        tags = {"team": "red"}
        self.grants: dict[str, Callable[[Any], Any]] = {
            "submit": lambda to: platform.jobs["work"].grant_submit(to, shares=["red"], tags=tags),
            "read": platform.grant_read_jobs,
            "stop": lambda to: platform.grant_stop_jobs(to, tags=tags),
            "publish": batch_stack.Notification(self.stack, "Told", data_policy=policy).grant_publish,
            "work": batch_stack.WorkQueue(self.stack, "Work", data_policy=policy).grant_use,
            "table": batch_stack.JobTable(self.stack, "Table", data_policy=policy).grant_use,
            "bus": batch_stack.EventBus(self.stack, "Bus").grant_put_events,
        }

        self.made = {name: self._granted(name, grant) for name, grant in self.grants.items()}
        self.resources = cdk.assertions.Template.from_stack(self.stack).to_json()["Resources"]

    def _granted(self, name: str, grant: Callable[[Any], Any]) -> Any:
        """A grant to a role of its own, for which a topic waits."""
        principal = self.cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com")
        role = self.cdk.aws_iam.Role(self.stack, f"{name.capitalize()}Role", assumed_by=principal)
        made = grant(role)
        made.apply_before(self.cdk.aws_sns.Topic(self.stack, f"{name.capitalize()}Waits"))
        return made


@pytest.fixture(scope="module")
def world(cdk: Any, new_app: Callable[[], Any]) -> World:
    return World(cdk, new_app())


@pytest.mark.parametrize("name", ALLOWED)
def test_a_grant_has_all_statements_and_orders_what_depends_on_it(world: World, name: str) -> None:
    grant = world.made[name]
    assert isinstance(grant, world.cdk.aws_iam.Grant)
    assert grant.success
    allowed = (one.to_json()["Action"] for one in grant.principal_statements)
    flat = {action for one in allowed for action in (one if isinstance(one, list) else [one])}
    assert sorted(flat) == ALLOWED[name]
    (topic,) = (
        one
        for logical_id, one in world.resources.items()
        if logical_id.startswith(f"{name.capitalize()}Waits") and one["Type"] == "AWS::SNS::Topic"
    )
    assert [one for one in topic["DependsOn"] if one.startswith(f"{name.capitalize()}RoleDefaultPolicy")]


def test_to_a_principal_without_policies_nothing_is_granted(world: World) -> None:
    service = world.cdk.aws_iam.ServicePrincipal("states.amazonaws.com")
    grant = world.grants["bus"](service)
    assert not grant.success
