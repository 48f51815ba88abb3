"""Jobs and triggers that are added to a platform in Python, and who may submit and stop them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.secrets import SecretSettings
from batch_stack.settings.tiers import FairShareSettings, TierSettings
from batch_stack.settings.triggers import TriggerSettings
from tests.stack.jobs.conftest import IMAGE
from tests.stack.jobs.reading import allowed, container, flat, listed, statements, variables

pytestmark = pytest.mark.stack


class Added:
    """A platform with things added to it after it was made."""

    def __init__(self, cdk: Any, app: Any) -> None:
        self.stack = cdk.Stack(app, "added")
        # There is a warning of the checks before deployment: with one attempt, rules have no effect.
        once = {"attempts": 1, "rules": [{"action": "retry", "on_exit_code": "75"}]}
        settings = {
            "jobs": {"fast": {"image": IMAGE, "retry": once}},
            "storage": {"on_delete": "destroy"},
        }
        self.platform = batch_stack.BatchPlatform(
            self.stack,
            "Default",
            settings=parse_settings(settings, source="test"),
            containers_dir=Path("unused"),
        )
        self.table = cdk.aws_dynamodb.TableV2(
            self.stack,
            "Table",
            partition_key=cdk.aws_dynamodb.Attribute(name="id", type=cdk.aws_dynamodb.AttributeType.STRING),
        )
        self.job = self.platform.add_job(
            "extra",
            JobSettings(
                image=IMAGE,
                array_size=40,
                environment={"MODE": "own", "PASSWORD": "a variable instead"},
                secrets={"OUTPUT_BUCKET": SecretSettings(parameter="bucket")},
            ),
            resources=[
                batch_stack.JobResources(
                    environment={"TABLE": self.table.table_name, "MODE": "theirs"},
                    secrets={
                        "PASSWORD": cdk.aws_batch.Secret.from_ssm_parameter(
                            cdk.aws_ssm.StringParameter.from_secure_string_parameter_attributes(
                                self.stack, "Password", parameter_name="password"
                            )
                        )
                    },
                    grants=[self.table.grant_read_data],
                )
            ],
        )
        self.trigger = self.platform.add_trigger(
            "second",
            TriggerSettings(
                job="extra", prefix="media/", parameters={"quality": "high"}, output_prefix="second/"
            ),
        )
        self.fair = batch_stack.PriorityTier(
            self.stack,
            "Fair",
            compute_environments=self.platform.compute,
            settings=TierSettings(
                priority=5, compute=["spot"], fair_share=FairShareSettings(shares={"video": 1, "audio*": 2})
            ),
        )
        batch_stack.ObjectTrigger(
            self.stack,
            "Shared",
            bucket=self.platform.storage.input_bucket,
            output_bucket=self.platform.storage.output_bucket,
            tier=self.fair,
            job=self.platform.jobs["fast"],
            share="video",
        )
        for name in ("Submitter", "OneTier", "Sharer", "Prefixer", "Operator"):
            service = cdk.aws_iam.ServicePrincipal("lambda.amazonaws.com")
            setattr(self, name, cdk.aws_iam.Role(self.stack, name, assumed_by=service))
        tags = {"team": "video"}
        self.job.grant_submit(self.Submitter)
        self.job.grant_submit(self.OneTier, self.platform.tiers["critical"])
        self.job.grant_submit(
            self.Sharer, self.platform.tiers["bulk"], self.fair, shares=["video"], tags=tags
        )
        self.job.grant_submit(self.Prefixer, self.fair, shares=["video", "audio*"])
        self.platform.grant_read_jobs(self.Operator)
        self.platform.grant_stop_jobs(self.Operator, tags=tags)


@pytest.fixture(scope="module")
def added(cdk: Any, new_app: Callable[[], Any]) -> Any:
    return Added(cdk, new_app())


@pytest.fixture(scope="module")
def _added_text(added: Added) -> str:
    stack = added.stack
    return (Path(stack.node.root.synth().directory) / stack.template_file).read_text()


@pytest.fixture
def resources(_added_text: str) -> dict[str, Any]:
    return json.loads(_added_text)["Resources"]


def test_what_was_added_is_found_beside_the_rest(added: Added) -> None:
    platform = added.platform
    assert list(platform.jobs) == ["fast", "extra"]
    assert platform.jobs["extra"] is added.job
    assert platform.triggers["second"] is added.trigger
    assert platform.settings.tiers_of("extra") == ["critical", "standard", "bulk"]


def test_a_job_without_a_dockerfile_leaves_the_platform_as_it_was(
    cdk: Any, new_app: Callable[[], Any], tmp_path: Path
) -> None:
    """What cannot be built is said before anything is made of it, and can then be given rightly."""
    stack = cdk.Stack(new_app(), "refused")
    platform = batch_stack.BatchPlatform(stack, "Batch", settings=Settings())
    with pytest.raises(SettingsError, match=r"jobs\.new\.folder must be a folder of .*got 'missing'"):
        platform.add_job("new", JobSettings(folder="missing"), containers_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"jobs\.new\.folder must not be given without containers_dir"):
        platform.add_job("new", JobSettings(folder="missing"))
    assert (dict(platform.settings.jobs), dict(platform.jobs)) == ({}, {})
    job = platform.add_job("new", JobSettings(image=IMAGE))
    assert platform.jobs["new"] is job


def test_an_added_job_knows_the_platform_and_what_it_was_given(resources: dict[str, Any]) -> None:
    one = container(resources, "ExtraJob")
    given = variables(one)
    assert given["INPUT_BUCKET"]["Ref"].startswith("StorageInput")
    assert given["TABLE"]["Ref"].startswith("Table")
    assert "dynamodb:GetItem" in {
        a for s in statements(resources, "ExtraJobJobRole") for a in listed(s["Action"])
    }
    assert not [
        a for s in statements(resources, "FastJobJobRole") for a in listed(s["Action"]) if "dynamodb" in a
    ]


def test_a_jobs_own_variables_and_secrets_replace_those_of_the_platform(resources: dict[str, Any]) -> None:
    one = container(resources, "ExtraJob")
    given, secrets = variables(one), [secret["Name"] for secret in one["Secrets"]]
    assert given["MODE"] == "own"
    # ECS starts no container that has one name as both.
    assert (given["PASSWORD"], "PASSWORD" in secrets) == ("a variable instead", False)
    assert ("OUTPUT_BUCKET" in given, secrets) == (False, ["OUTPUT_BUCKET"])


def test_the_added_trigger_tells_its_function_all_that_it_was_told(resources: dict[str, Any]) -> None:
    (function,) = (
        r["Properties"]
        for n, r in resources.items()
        if n.startswith("SecondTriggerSubmitJob") and r["Type"] == "AWS::Lambda::Function"
    )
    told = function["Environment"]["Variables"]
    assert told["ARRAY_SIZE"] == "40"
    assert json.loads(told["PARAMETERS"]) == {"quality": "high"}
    assert told["OUTPUT_PREFIX"] == "second/"
    assert "SHARE_IDENTIFIER" not in told


def test_a_share_is_told_to_the_function_which_may_use_no_other(resources: dict[str, Any]) -> None:
    (function,) = (
        r["Properties"]
        for n, r in resources.items()
        if n.startswith("SharedSubmitJob") and r["Type"] == "AWS::Lambda::Function"
    )
    assert function["Environment"]["Variables"]["SHARE_IDENTIFIER"] == "video"
    assert not {"ARRAY_SIZE", "PARAMETERS", "OUTPUT_PREFIX"} & set(function["Environment"]["Variables"])
    (submit,) = (s for s in statements(resources, "SharedFunctionRole") if s["Action"] == "batch:SubmitJob")
    assert submit["Condition"] == {"StringEquals": {"batch:ShareIdentifier": ["video"]}}


def test_an_added_triggers_dead_letters_raise_an_alarm_too(resources: dict[str, Any]) -> None:
    (name,) = (n for n in resources if n.startswith("NotificationSecondDeadLetterAlarm"))
    assert resources[name]["Type"] == "AWS::CloudWatch::Alarm"
    may_publish = [
        flat(arn)
        for resource in resources.values()
        if resource["Type"] == "AWS::SNS::TopicPolicy"
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        for arn in listed(statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", []))
    ]
    assert f"{{{name}.Arn}}" in may_publish


def _definitions(resources: dict[str, Any], role: str) -> set[str]:
    return {arn for arn in allowed(resources, role, "batch:SubmitJob") if "job-definition" in arn}


def _queues(resources: dict[str, Any], role: str) -> list[str]:
    found = allowed(resources, role, "batch:SubmitJob")
    return sorted(arn.strip("{").partition("TierQueue")[0] for arn in found if "TierQueue" in arn)


def test_a_submitter_may_use_any_revision_and_the_jobs_own_tiers(resources: dict[str, Any]) -> None:
    assert _queues(resources, "Submitter") == ["Bulk", "Critical", "Standard"]
    assert _queues(resources, "OneTier") == ["Critical"]
    without, with_revision = sorted(_definitions(resources, "OneTier"), key=len)
    assert without.partition("{ExtraJobDefinition")[2]
    assert with_revision == f"{without}:*"
    assert {a for s in statements(resources, "Submitter") for a in listed(s["Action"])} == {"batch:SubmitJob"}


def test_a_share_is_asked_for_in_tiers_with_fair_share_only(resources: dict[str, Any]) -> None:
    """A job for any other queue must not name one: AWS Batch refuses it."""
    line, shared, _ = statements(resources, "Sharer")
    assert line["Action"] == shared["Action"] == "batch:SubmitJob"
    assert "Condition" not in line
    assert shared["Condition"] == {"StringEquals": {"batch:ShareIdentifier": ["video"]}}
    (of_line,), (of_shared,) = (
        [flat(arn) for arn in s["Resource"] if "Queue" in flat(arn)] for s in (line, shared)
    )
    assert of_line.startswith("{BulkTierQueue")
    assert of_shared.startswith("{FairQueue")
    definitions = [{flat(arn) for arn in s["Resource"] if "Queue" not in flat(arn)} for s in (line, shared)]
    assert definitions[0] == definitions[1] == _definitions(resources, "OneTier")


def test_a_share_may_be_a_prefix(resources: dict[str, Any]) -> None:
    (shared,) = statements(resources, "Prefixer")
    # Within one operator, values are alternatives; two operators would both have to hold.
    assert shared["Condition"] == {"StringLike": {"batch:ShareIdentifier": ["video", "audio*"]}}


@pytest.mark.parametrize("share", ["a?", "a*b", "a b", "", "x" * 256])
def test_a_share_that_no_job_can_have_is_refused(added: Added, share: str) -> None:
    with pytest.raises(
        ValueError, match=r"shares must be 1 to 255 letters and digits, .* at added/Fair/Queue"
    ):
        added.job.grant_submit(added.Submitter, added.fair, shares=["fine", share])


def test_shares_for_tiers_without_fair_share_are_refused(added: Added) -> None:
    with pytest.raises(
        ValueError, match=r"no tier has fair share, got \['video'\] at added/Default/ExtraJob"
    ):
        added.job.grant_submit(added.Submitter, added.platform.tiers["bulk"], shares=["video"])


def test_tags_are_conditions(resources: dict[str, Any]) -> None:
    by_action = {s["Action"]: s for s in statements(resources, "Sharer")}
    assert by_action["batch:TagResource"]["Condition"] == {
        "StringEquals": {"aws:RequestTag/team": "video"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
        "StringEqualsIfExists": {"aws:ResourceTag/team": "video"},
    }
    assert flat(by_action["batch:TagResource"]["Resource"]).endswith(":job/*")
    (submit,) = statements(resources, "OneTier")
    assert "Condition" not in submit


def test_an_operator_reads_all_jobs_and_stops_only_those_with_the_tag(resources: dict[str, Any]) -> None:
    reading, stopping = statements(resources, "Operator")
    assert reading["Action"] == ["batch:DescribeJobs", "batch:ListJobs"]
    assert stopping["Action"] == ["batch:CancelJob", "batch:TerminateJob"]
    assert flat(stopping["Resource"]).endswith(":job/*")
    assert stopping["Condition"] == {"StringEquals": {"aws:ResourceTag/team": "video"}}


def test_a_warning_of_the_checks_is_not_repeated_by_each_addition(added: Added, cdk: Any) -> None:
    messages = [
        entry.data
        for child in added.stack.node.find_all()
        for entry in child.node.metadata
        if entry.type == "aws:cdk:warning"
    ]
    assert messages
    assert len(messages) == len(set(map(str, messages)))


def test_stopping_every_job_of_the_account_cannot_be_granted(added: Added) -> None:
    with pytest.raises(ValueError, match=r"tags must have at least one entry, got \{\} at added/Default"):
        added.platform.grant_stop_jobs(added.Operator, tags={})


def test_a_tier_of_another_platform_cannot_be_submitted_to(added: Added) -> None:
    with pytest.raises(ValueError, match=r"because jobs\.extra\.platform is ec2, got 'fargate' at added/"):
        added.job.grant_submit(added.Submitter, added.platform.tiers["fargate"])


def test_a_job_without_tiers_has_to_be_told_where_to(world: Any) -> None:
    with pytest.raises(ValueError, match="tiers must be given, because the job has none of its own"):
        world.jobs["plain"].grant_submit(world.jobs["plain"].job_role)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("fast", "jobs must not have 'fast' twice"),
        ("Bad Name", "jobs must have names of lower-case letters"),
        ("huge", "jobs.huge.vcpu must be at most"),
        ("thirsty", "jobs.thirsty"),
        (
            "rented",
            "jobs.rented must be one that a tier can run, got jobs.rented.platform is managed",
        ),
    ],
)
def test_what_is_added_is_checked_like_what_a_file_says(added: Added, job: str, message: str) -> None:
    settings = {
        "huge": JobSettings(image=IMAGE, vcpu=400),
        "thirsty": JobSettings(image=IMAGE, vcpu=1, memory_mib=20_000_000),
        "rented": JobSettings(image=IMAGE, platform="managed_instances"),
    }.get(job, JobSettings(image=IMAGE))
    with pytest.raises(SettingsError, match=message):
        added.platform.add_job(job, settings)
    assert job == "fast" or job not in added.platform.jobs
    assert list(added.platform.settings.jobs) == ["fast", "extra"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("second", TriggerSettings(job="extra"), "triggers must not have 'second' twice"),
        ("third", TriggerSettings(job="none"), "triggers.third.job must be one of the jobs fast, extra"),
    ],
)
def test_a_trigger_that_does_not_fit_is_refused(
    added: Added, name: str, settings: TriggerSettings, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        added.platform.add_trigger(name, settings)
    assert list(added.platform.triggers) == ["second"]


def test_a_trigger_of_ones_own_making_hands_on_what_fits_its_function(added: Added) -> None:
    with pytest.raises(ValueError, match=r"^parameters must take at most \d+ bytes .* at added/Wordy$"):
        batch_stack.ObjectTrigger(
            added.stack,
            "Wordy",
            bucket=added.platform.storage.input_bucket,
            output_bucket=added.platform.storage.output_bucket,
            tier=added.platform.tiers["bulk"],
            job=added.job,
            parameters={"text": "x" * 4096},
        )


def test_a_trigger_of_ones_own_making_takes_a_share_for_fair_share_only(added: Added) -> None:
    def trigger(construct_id: str, tier: Any, share: str | None) -> None:
        batch_stack.ObjectTrigger(
            added.stack,
            construct_id,
            bucket=added.platform.storage.input_bucket,
            output_bucket=added.platform.storage.output_bucket,
            tier=tier,
            job=added.platform.jobs["fast"],
            share=share,
        )

    with pytest.raises(ValueError, match=r"^share must be given, because .* got None at added/Unshared$"):
        trigger("Unshared", added.fair, None)
    with pytest.raises(ValueError, match=r"^share must not be given, .* got 'video' at added/Oddly$"):
        trigger("Oddly", added.platform.tiers["bulk"], "video")
