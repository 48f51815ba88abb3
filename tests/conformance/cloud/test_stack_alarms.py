"""Composite alarms in stacks of the local cloud."""

from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack

pytestmark = pytest.mark.cloud


def template(*, either: str = "OR", **composite: Any) -> dict[str, Any]:
    def alarm(metric: str) -> dict[str, Any]:
        properties = {
            "Namespace": "Jobs",
            "MetricName": metric,
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 1,
            "Period": 60,
            "Statistic": "Sum",
            "Threshold": 0,
        }
        return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}

    properties = {
        "AlarmRule": {"Fn::Sub": f'ALARM("${{Failed}}") {either} ALARM("${{Blocked}}")'},
        "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:people"],
        **composite,
    }
    return {
        "Resources": {
            "Failed": alarm("Failed"),
            "Blocked": alarm("Blocked"),
            "Any": {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": properties},
        },
        "Outputs": {"Name": {"Value": {"Ref": "Any"}}, "Arn": {"Value": {"Fn::GetAtt": ["Any", "Arn"]}}},
    }


def alarms(cloudwatch: Any, name: str) -> list[dict[str, Any]]:
    answer = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    return list(answer["CompositeAlarms"])


def test_a_composite_alarm_is_created_changed_in_place_replaced_and_deleted(cloud: LocalCloud) -> None:
    stack, cloudwatch = Stack(cloud, "alarms"), cloud.client("cloudwatch")
    tags = [{"Key": "team", "Value": "video"}, {"Key": "old", "Value": "1"}]
    assert stack.deploy(template(Tags=tags)) == "CREATE_COMPLETE", stack.reasons()
    name, arn = stack.outputs()["Name"], stack.outputs()["Arn"]
    (created,) = alarms(cloudwatch, name)
    assert created["AlarmArn"] == arn
    assert " OR ALARM(" in created["AlarmRule"]
    assert created["AlarmActions"] == ["arn:aws:sns:us-east-1:000000000000:people"]

    changed = template(either="AND", Tags=[{"Key": "team", "Value": "audio"}])
    assert stack.deploy(changed, update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Name"] == name
    (updated,) = alarms(cloudwatch, name)
    assert " AND ALARM(" in updated["AlarmRule"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "audio"}]

    renamed = template(either="AND", AlarmName="any-trouble")
    assert stack.deploy(renamed, update=True) == "UPDATE_COMPLETE", stack.reasons()
    assert stack.outputs()["Name"] == "any-trouble"
    assert alarms(cloudwatch, name) == []
    assert len(alarms(cloudwatch, "any-trouble")) == 1

    stack.delete()
    assert alarms(cloudwatch, "any-trouble") == []


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"ActionsSuppressor": "quiet"}, "ActionsSuppressor"),
        ({"AlarmRule": 'ALARM("nowhere")'}, "do not exist"),
    ],
)
def test_what_cannot_work_fails_the_stack(cloud: LocalCloud, properties: dict[str, str], reason: str) -> None:
    stack = Stack(cloud, f"odd-{next(iter(properties)).lower()}")

    assert stack.deploy(template(**properties)) == "ROLLBACK_COMPLETE"
    assert reason in stack.reasons()
