"""Managed policies for those who submit jobs, and roles that a grant does not reach."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings

pytestmark = pytest.mark.stack

JOB = {"image": "public.ecr.aws/docker/library/busybox:1"}
SETTINGS = {
    "compute": {"spot": {"type": "spot"}},
    "tiers": {
        "shared": {"priority": 1, "compute": ["spot"], "fair_share": {"shares": {"red": 1, "blue": 1}}},
        "plain": {"priority": 2, "compute": ["spot"]},
    },
    "jobs": {"a": {**JOB, "tiers": ["shared"]}, "b": {**JOB, "tiers": ["plain"]}},
    "submitters": {
        "red-team": {"shares": ["red"], "tags": {"team": "red"}, "roles": ["ci", "notebook"]},
        "reports": {"jobs": ["b"]},
    },
}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def made(cdk: Any, new_app: Callable[[], Any]) -> tuple[Any, batch_stack.BatchPlatform]:
    """A stack in a known account, and eight more jobs that are added in Python."""
    account = cdk.Environment(account="111111111111", region="eu-west-1")
    stack = batch_stack.BatchStack(
        new_app(), "submitters", settings=parse_settings(SETTINGS, source="test"), env=account
    )
    for number in range(7):
        stack.platform.add_job(f"more{number}", JobSettings(**JOB, tiers=["plain"]))
    iam = cdk.aws_iam
    arn = "arn:aws:iam::{}:role/ci"
    roles = {
        "Foreign": iam.Role.from_role_arn(stack, "Foreign", arn.format("222222222222")),
        "Fixed": iam.Role.from_role_arn(stack, "Fixed", arn.format("111111111111"), mutable=False),
        "Imported": iam.Role.from_role_arn(stack, "Imported", arn.format("111111111111")),
        "Own": iam.Role(stack, "Own", assumed_by=iam.AccountRootPrincipal()),
        "User": iam.User(stack, "User"),
    }
    for role in roles.values():
        stack.platform.jobs["b"].grant_submit(role)
    stack.platform.grant_read_jobs(roles["Fixed"])
    stack.platform.grant_stop_jobs(roles["Fixed"], tags={"team": "red"})
    return stack, stack.platform


@pytest.fixture(scope="module")
def synthesised(made: tuple[Any, batch_stack.BatchPlatform]) -> Any:
    stack, _ = made
    return stack.node.root.synth().get_stack_by_name("submitters")


def _policies(synthesised: Any, prefix: str) -> list[dict[str, Any]]:
    return [
        resource["Properties"]
        for name, resource in synthesised.template["Resources"].items()
        if resource["Type"] == "AWS::IAM::ManagedPolicy" and name.startswith(prefix)
    ]


def _allowed(policy: dict[str, Any], action: str) -> list[dict[str, Any]]:
    statements = policy["PolicyDocument"]["Statement"]
    return [one for one in statements if action in _as_list(one["Action"])]


def test_a_submitter_is_a_managed_policy_whose_arn_is_an_output(synthesised: Any) -> None:
    (reports,) = _policies(synthesised, "ReportsSubmitter")
    assert "Roles" not in reports
    (submit,) = _allowed(reports, "batch:SubmitJob")
    named = json.dumps(submit["Resource"])
    assert "Condition" not in submit
    assert "BJobDefinition" in named
    assert "AJobDefinition" not in named
    assert "PlainTierQueue" in named
    assert "SharedTierQueue" not in named
    statements = reports["PolicyDocument"]["Statement"]
    actions = {action for one in statements for action in _as_list(one["Action"])}
    assert actions == {"batch:DescribeJobs", "batch:ListJobs", "batch:SubmitJob"}
    outputs = synthesised.template["Outputs"]
    assert outputs["ReportsSubmitterPolicyArn"]["Value"]["Ref"].startswith("ReportsSubmitterPolicy")


def test_shares_tags_and_roles_are_what_the_settings_say(synthesised: Any) -> None:
    first, _ = _policies(synthesised, "RedTeamSubmitter")
    assert first["Roles"] == ["ci", "notebook"]
    shared, plain = sorted(_allowed(first, "batch:SubmitJob"), key=lambda one: "Condition" not in one)
    assert shared["Condition"] == {"StringEquals": {"batch:ShareIdentifier": ["red"]}}
    assert "SharedTierQueue" in json.dumps(shared["Resource"])
    # A job for a queue without fair share names no share: such a condition would deny it.
    assert "Condition" not in plain
    assert "SharedTierQueue" not in json.dumps(plain["Resource"])
    (tag,) = _allowed(first, "batch:TagResource")
    assert tag["Condition"]["StringEquals"] == {"aws:RequestTag/team": "red"}
    (stop,) = _allowed(first, "batch:TerminateJob")
    assert stop["Condition"] == {"StringEquals": {"aws:ResourceTag/team": "red"}}


def test_a_policy_has_room_for_eight_jobs_and_all_belong_to_the_roles(synthesised: Any) -> None:
    first, second = _policies(synthesised, "RedTeamSubmitter")
    resources = [
        json.dumps([one["Resource"] for one in _allowed(policy, "batch:SubmitJob")])
        for policy in (first, second)
    ]
    assert "More5JobDefinition" in resources[0]
    assert "More6JobDefinition" not in resources[0]
    assert "More6JobDefinition" in resources[1]
    assert second["Roles"] == first["Roles"]
    assert "RedTeamSubmitterPolicyArn2" in synthesised.template["Outputs"]


def test_a_role_that_a_grant_does_not_reach_is_warned_of(synthesised: Any) -> None:
    warned = [
        str(message.entry.data)
        for message in synthesised.messages
        if "batch-stack:notGranted" in str(message.entry.data)
    ]
    told = {text.partition(", because")[0] for text in warned}
    assert told == {
        "The role submitters/Foreign is not allowed to submit the job",
        "The role submitters/Fixed is not allowed to submit the job",
        "The role submitters/Fixed is not allowed to ask how jobs are doing",
        "The role submitters/Fixed is not allowed to stop jobs",
    }


def _deployed(value: Any, template: dict[str, Any]) -> Any:
    """With what a deployment fills in, as long as it is there; IAM counts no white space."""
    if isinstance(value, list):
        return [_deployed(one, template) for one in value]
    if not isinstance(value, dict):
        return value
    function = next(iter(value), "")
    if function == "Ref":
        return {"AWS::Partition": "aws"}[value["Ref"]]
    if function == "Fn::Join":
        return "".join(_deployed(value["Fn::Join"][1], template))
    if function in ("Fn::GetAtt", "Fn::Select"):
        (named,) = (name for name in template["Resources"] if f'"{name}"' in json.dumps(value))
        queue = "arn:aws:batch:eu-west-1:111111111111:job-queue/" if function == "Fn::GetAtt" else ""
        return f"{queue}{named}-0123456789abcde"
    return {key: _deployed(one, template) for key, one in value.items()}


def test_eight_jobs_fit_whatever_shares_and_tags_there_are(cdk: Any, new_app: Callable[[], Any]) -> None:
    tier = {"compute": ["spot"]}
    fair = {"fair_share": {"shares": {"red": 1}}}
    settings = {
        "compute": {"spot": {"type": "spot"}},
        "tiers": {
            "critical": {"priority": 3, **tier},
            "standard": {"priority": 2, **tier, **fair},
            "bulk": {"priority": 1, **tier},
        },
        "jobs": {f"render-video-{number}": JOB for number in range(8)},
        # All that is allowed, to a character.
        "submitters": {"team": {"shares": ["s" * 50], "tags": {"team": "red", "cost": "x" * 256}}},
    }
    stack = batch_stack.BatchStack(
        new_app(),
        "eight",
        settings=parse_settings(settings, source="test"),
        env=cdk.Environment(account="111111111111", region="eu-west-1"),
    )
    template = stack.node.root.synth().get_stack_by_name("eight").template
    policies = [
        _deployed(one["Properties"]["PolicyDocument"], template)
        for one in template["Resources"].values()
        if one["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    sizes = [len(json.dumps(one, separators=(",", ":"))) for one in policies]
    # Each job is meant for tiers of both kinds: the longest that there is.
    assert len(sizes) == 1
    assert 4096 < sizes[0] <= 6144, sizes


def test_a_submitter_without_jobs_is_refused_once_all_could_have_been_added(
    cdk: Any, new_app: Callable[[], Any]
) -> None:
    app = new_app()
    stack = batch_stack.BatchStack(app, "none", settings=parse_settings(SETTINGS, source="test"))
    submitter = batch_stack.Submitter(stack, "Nobody")
    message = "a submitter must have at least one job, of the settings or by add_job"
    assert message in " ".join(submitter.node.validate())
    assert submitter.add_job(stack.platform.jobs["b"]).success
    assert submitter.node.validate() == []


def test_a_submitter_alone_has_shares_tags_and_roles(cdk: Any, new_app: Callable[[], Any]) -> None:
    stack = batch_stack.BatchStack(new_app(), "team", settings=parse_settings(SETTINGS, source="test"))
    role = cdk.aws_iam.Role(stack, "Notebook", assumed_by=cdk.aws_iam.AccountRootPrincipal())
    team = batch_stack.Submitter(stack, "Team", shares=["red"], tags={"team": "red"}, roles=[role])
    team.add_job(stack.platform.jobs["a"])
    template = cdk.assertions.Template.from_stack(stack).to_json()
    (policy,) = _policies(SimpleNamespace(template=template), "TeamPolicy")
    assert policy["Roles"][0]["Ref"].startswith("Notebook")
    (submit,) = _allowed(policy, "batch:SubmitJob")
    assert submit["Condition"] == {"StringEquals": {"batch:ShareIdentifier": ["red"]}}
    (stop,) = _allowed(policy, "batch:TerminateJob")
    assert stop["Condition"] == {"StringEquals": {"aws:ResourceTag/team": "red"}}
    with pytest.raises(SettingsError, match="tags must have keys of 1 to 128 characters that do not begin"):
        batch_stack.Submitter(stack, "Tagger", tags={"aws:team": "red"})
