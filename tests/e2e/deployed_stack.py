"""A stack on a local cloud, edited through change sets, as ``cdk deploy`` does it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.cloudformation_changes import Change, Template
from tests.support import wait_for

ASSETS_BUCKET = "cdk-hnb659fds-assets-000000000000-us-east-1"
DEADLINE_S = 60.0


@dataclass
class DeployedStack:
    """One stack.

    Args:
        clients: boto3 clients of the cloud, by their services' names.
        endpoint_url: where the cloud is, for the addresses of templates.
        name: the stack's name.
    """

    clients: Mapping[str, Any]
    endpoint_url: str
    name: str

    @property
    def _cloudformation(self) -> Any:
        return self.clients["cloudformation"]

    def propose(self, template: Template) -> ChangeSet:
        """Ask CloudFormation what it would do to get from what is deployed to a template."""
        name = f"edit-{uuid.uuid4().hex}"
        self.clients["s3"].put_object(Bucket=ASSETS_BUCKET, Key=name, Body=json.dumps(template).encode())
        self._cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=name,
            TemplateURL=f"{self.endpoint_url}/{ASSETS_BUCKET}/{name}",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        )

        def made() -> dict[str, Any] | None:
            described = self._cloudformation.describe_change_set(StackName=self.name, ChangeSetName=name)
            return dict(described) if described["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        described = wait_for(made, "the change set")
        assert described["Status"] == "CREATE_COMPLETE", described.get("StatusReason")
        return ChangeSet(self, name, {one["LogicalResourceId"]: one for one in _changes(described)})

    def status(self) -> str:
        (stack,) = self._cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        return str(stack["StackStatus"])

    def resources(self) -> dict[str, str]:
        """The physical id of each resource, by its logical id."""
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
        }

    def physical_id(self, prefix: str) -> str:
        """That of the one resource whose logical id is this and CDK's hash."""
        (found,) = (value for name, value in self.resources().items() if name[:-8] == prefix)
        return found

    def newest_event(self) -> dict[str, Any]:
        """What has happened last, without all that was before."""
        return dict(self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"][0])

    def events(self) -> list[dict[str, Any]]:
        """All that has happened, the first thing first."""
        pages = self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        return [event for page in pages for event in page["StackEvents"]][::-1]


@dataclass
class ChangeSet:
    """An edit that CloudFormation has looked at.

    Args:
        stack: the stack that it changes.
        name: the change set's name.
        changes: what CloudFormation says that it does, by logical ids.
    """

    stack: DeployedStack
    name: str
    changes: Mapping[str, dict[str, Any]]

    def execute(self) -> Edit:
        """Set the update off; it is not over yet."""
        before, events = self.stack.resources(), self.stack.events()
        self.stack._cloudformation.execute_change_set(StackName=self.stack.name, ChangeSetName=self.name)
        return Edit(self, before, len(events), events[-1]["EventId"])


@dataclass
class Edit:
    """An update of a stack, under way or over.

    Args:
        change_set: what it carries out.
        before: the physical ids that were.
        events_before: how many events there were.
        event_before: the id of the last of them.
    """

    change_set: ChangeSet
    before: Mapping[str, str]
    events_before: int
    event_before: str

    @property
    def is_over(self) -> bool:
        """Whether CloudFormation has stopped working on it."""
        newest = self.change_set.stack.newest_event()
        return (
            newest["EventId"] != self.event_before
            and newest["ResourceType"] == "AWS::CloudFormation::Stack"
            and not newest["ResourceStatus"].endswith("IN_PROGRESS")
        )

    def reasons(self) -> str:
        """Why it went wrong, if it did."""
        events = self.change_set.stack.events()[self.events_before :]
        return "\n".join(
            event["ResourceStatusReason"] for event in events if event.get("ResourceStatusReason")
        )

    def disagreements(self, predicted: Mapping[str, Change]) -> list[str]:
        """Where CloudFormation's change set, events and resources are not what the templates told."""
        proposed = {name: _proposed(one) for name, one in self.change_set.changes.items()}
        told = {name: _as_proposed(change) for name, change in predicted.items()}
        # What refers to a changed resource may change with it or not: only the update will tell.
        possible = {name for name, one in self.change_set.changes.items() if _is_only_possible(one)}
        found = [
            f"{name}: the change set says {proposed.get(name)}, the templates {told.get(name)}"
            for name in sorted((proposed.keys() - possible) | told.keys())
            if proposed.get(name) != told.get(name)
        ]
        after = self.change_set.stack.resources()
        done = {name: _as_done(self.before.get(name), after.get(name)) for name in {*self.before, *after}}
        expected = {name: _in_the_end(change) for name, change in predicted.items()}
        found += [
            f"{name}: {kind} in the end, {expected.get(name, 'as it was')} by the templates"
            for name, kind in sorted(done.items())
            if kind != expected.get(name, "as it was")
        ]
        return found + self._unfinished(predicted)

    def _unfinished(self, predicted: Mapping[str, Change]) -> list[str]:
        events = self.change_set.stack.events()[self.events_before :]
        completed = {
            event["LogicalResourceId"]
            for event in events
            if event["ResourceStatus"]
            in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "DELETE_SKIPPED")
        }
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return [f"{name}: no event says that it is done" for name in predicted.keys() - completed] + [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed
        ]


def _changes(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Changes of resources' properties; metadata and dependencies alone change nothing that exists."""
    every = [change["ResourceChange"] for change in described["Changes"]]
    return [
        one
        for one in every
        if one["Action"] != "Modify"
        or any(detail["Target"]["Attribute"] == "Properties" for detail in one["Details"])
    ]


def _proposed(change: Mapping[str, Any]) -> str:
    return {"Add": "added", "Remove": "removed", "Modify": "changed"}[change["Action"]]


def _is_only_possible(change: Mapping[str, Any]) -> bool:
    return change["Action"] == "Modify" and all(
        detail["Evaluation"] == "Dynamic" and detail["ChangeSource"] != "DirectModification"
        for detail in change["Details"]
    )


def _as_proposed(change: Change) -> str:
    return {"added": "added", "removed": "removed", "kept behind": "removed"}.get(change.kind, "changed")


def _as_done(before: str | None, after: str | None) -> str:
    if before is None:
        return "added"
    if after is None:
        return "gone"
    return "as it was" if before == after else "another"


def _in_the_end(change: Change) -> str:
    return {
        "added": "added",
        "removed": "gone",
        "kept behind": "gone",
        "in place": "as it was",
        "replaced": "another",
        "new revision": "another",
    }[change.kind]
