"""``AWS::CloudWatch::CompositeAlarm``, which MiniStack's CloudFormation lacks, through its CloudWatch API."""

from collections.abc import Mapping
from typing import Any

from batch_engine.local.cloudformation.resource import (
    Call,
    Resource,
    carry_out,
    check_known,
    generated_name,
)

COMPOSITE_ALARM = "AWS::CloudWatch::CompositeAlarm"
# The API ignores suppressors of actions (`ActionsSuppressor`), so stacks must not use them.
_PROPERTIES = frozenset(
    {
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "AlarmRule",
        "InsufficientDataActions",
        "OKActions",
        "Tags",
    }
)


class CompositeAlarmResources:
    """Creates, updates and deletes composite alarms.

    Args:
        call: carries out an operation of CloudWatch with the members that boto3 has for it. It may wait, so
            keep these methods off event loops.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def create(self, resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Resource:
        """Creates an alarm.

        Raises:
            ResourceError: a property is not supported, or CloudWatch refuses the alarm.
        """
        check_known(resource_type, properties, _PROPERTIES)
        name = properties.get("AlarmName") or generated_name(logical_id)
        carry_out(self._call, "PutCompositeAlarm", {**properties, "AlarmName": name})
        return Resource(physical_id=name, attributes={"Arn": self._arn(name)})

    def update(
        self,
        resource_type: str,
        physical_id: str,
        logical_id: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Resource:
        """Updates an alarm in place. An alarm with another name is a new one.

        Raises:
            ResourceError: a property is not supported, or CloudWatch refuses the alarm.
        """
        if old.get("AlarmName") != new.get("AlarmName"):
            return self.create(resource_type, logical_id, new)
        check_known(resource_type, new, _PROPERTIES)
        # The API takes tags for a new alarm only.
        members = {name: value for name, value in new.items() if name != "Tags"}
        carry_out(self._call, "PutCompositeAlarm", {**members, "AlarmName": physical_id})
        arn = self._arn(physical_id)
        self._retag(arn, old.get("Tags") or [], new.get("Tags") or [])
        return Resource(physical_id=physical_id, attributes={"Arn": arn})

    def delete(self, _resource_type: str, physical_id: str) -> None:
        """Deletes an alarm. An alarm that does not exist is no error.

        Raises:
            ResourceError: CloudWatch refuses, because another composite alarm uses this one.
        """
        carry_out(self._call, "DeleteAlarms", {"AlarmNames": [physical_id]})

    def _arn(self, name: str) -> str:
        request = {"AlarmNames": [name], "AlarmTypes": ["CompositeAlarm"]}
        (alarm,) = carry_out(self._call, "DescribeAlarms", request)["CompositeAlarms"]
        return str(alarm["AlarmArn"])

    def _retag(self, arn: str, old: list[dict[str, str]], new: list[dict[str, str]]) -> None:
        if gone := sorted({tag["Key"] for tag in old} - {tag["Key"] for tag in new}):
            carry_out(self._call, "UntagResource", {"ResourceARN": arn, "TagKeys": gone})
        if new and new != old:
            carry_out(self._call, "TagResource", {"ResourceARN": arn, "Tags": new})
