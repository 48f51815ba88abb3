"""Who submits jobs, and stops them, in the local cloud with IAM enforced: as granted, and not otherwise."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import batch_stack
from batch_stack.settings.file import parse_settings
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack
from tests.stack.jobs.conftest import IMAGE

pytestmark = pytest.mark.cloud

SETTINGS = {
    "compute": {"on_demand": {"type": "on_demand"}},
    "tiers": {
        "line": {"priority": 1, "compute": ["on_demand"]},
        "shared": {
            "priority": 2,
            "compute": ["on_demand"],
            "fair_share": {"shares": {"video": 1, "audio*": 2, "other": 3}},
        },
    },
    "jobs": {"work": {"image": IMAGE, "command": ["true"]}},
    "storage": {"on_delete": "destroy"},
}
TAGS = {"team": "video"}


class Deployed:
    """The stack in a local cloud."""

    def __init__(self, cloud: LocalCloud, template: dict[str, Any]) -> None:
        self.cloud = cloud
        stack = Stack(cloud, "submitters")
        stack.cloudformation.create_stack(
            StackName="submitters", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
        )
        assert stack.settled() == "CREATE_COMPLETE", stack.reasons()
        self.arns = stack.outputs()

    def acting_as(self, role: str) -> Any:
        """A client of AWS Batch that signs as a role of the stack."""
        granted = self.cloud.client("sts").assume_role(RoleArn=self.arns[role], RoleSessionName="test")
        keys = granted["Credentials"]
        return boto3.client(
            "batch",
            endpoint_url=self.cloud.record.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def submit(self, batch: Any, queue: str, **more: Any) -> str:
        """Submit a job; returns its ARN."""
        named = {"jobName": "j", "jobQueue": self.arns[queue], "jobDefinition": self.arns["Work"]}
        return str(batch.submit_job(**{**named, **more})["jobArn"])


@pytest.fixture(scope="module")
def template(cdk: Any, new_app: Callable[[], Any]) -> dict[str, Any]:
    stack = cdk.Stack(new_app(), "submitters", synthesizer=cdk.BootstraplessSynthesizer())
    platform = batch_stack.BatchPlatform(
        stack,
        "Default",
        settings=parse_settings(SETTINGS, source="test"),
        containers_dir=Path("unused"),
    )
    outputs = {
        "Line": platform.tiers["line"].queue.job_queue_arn,
        "Shared": platform.tiers["shared"].queue.job_queue_arn,
        "Work": platform.jobs["work"].unversioned_arn,
    }
    for name in ("Anyone", "Team", "Operator"):
        role = cdk.aws_iam.Role(stack, name, assumed_by=cdk.aws_iam.AccountRootPrincipal())
        outputs[f"{name}Role"] = role.role_arn
        if name == "Anyone":
            platform.jobs["work"].grant_submit(role)
        if name == "Team":
            platform.jobs["work"].grant_submit(role, shares=["video", "audio*"], tags=TAGS)
        if name != "Anyone":
            platform.grant_stop_jobs(role, tags=TAGS)
    for name, value in outputs.items():
        cdk.CfnOutput(stack, name, value=value)
    path = Path(stack.node.root.synth().directory) / stack.template_file
    text: dict[str, Any] = json.loads(path.read_text())
    return text


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, template: dict[str, Any]) -> Iterator[Deployed]:
    cloud = LocalCloud(tmp_path_factory.mktemp("cloud"))
    cloud.start("--enforce-iam")
    try:
        yield Deployed(cloud, template)
    finally:
        cloud.stop()


@contextlib.contextmanager
def denied(action: str) -> Iterator[None]:
    with pytest.raises(ClientError, match=f"not authorized to perform: {action} on resource: ") as caught:
        yield
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_team_submits_with_its_shares_where_shares_count_and_with_none_elsewhere(
    deployed: Deployed,
) -> None:
    team = deployed.acting_as("TeamRole")
    deployed.submit(team, "Line")
    for share in ("video", "audio", "audioBooks"):
        deployed.submit(team, "Shared", shareIdentifier=share)
    for wrong in ({"shareIdentifier": "other"}, {"shareIdentifier": "video2"}, {}):
        with denied("batch:SubmitJob"):
            deployed.submit(team, "Shared", **wrong)


def test_without_a_word_of_shares_any_will_do(deployed: Deployed) -> None:
    anyone = deployed.acting_as("AnyoneRole")
    deployed.submit(anyone, "Line")
    deployed.submit(anyone, "Shared", shareIdentifier="other")


def test_a_team_stops_its_own_jobs_and_no_other_teams(deployed: Deployed) -> None:
    team, admin = deployed.acting_as("TeamRole"), deployed.cloud.client("batch")
    own = deployed.submit(team, "Line", tags=TAGS)
    others = deployed.submit(admin, "Line", tags={"team": "sound"})
    untagged = deployed.submit(admin, "Line")
    for batch in (team, deployed.acting_as("OperatorRole")):
        for job in (others, untagged):
            with denied("batch:TerminateJob"):
                batch.terminate_job(jobId=_id(job), reason="not theirs")
            with denied("batch:CancelJob"):
                batch.cancel_job(jobId=_id(job), reason="not theirs")
    team.cancel_job(jobId=_id(own), reason="no more")
    team.terminate_job(jobId=_id(own), reason="no more")


def test_a_team_gives_jobs_its_own_tag_and_takes_none_from_another_team(deployed: Deployed) -> None:
    team, admin = deployed.acting_as("TeamRole"), deployed.cloud.client("batch")
    for tags in ({"team": "sound"}, {**TAGS, "cost": "1"}, {"cost": "1"}):
        with denied("batch:TagResource"):
            deployed.submit(team, "Line", tags=tags)
    others = deployed.submit(admin, "Line", tags={"team": "sound"})
    with denied("batch:TagResource"):
        team.tag_resource(resourceArn=others, tags=TAGS)
    with denied("batch:UntagResource"):
        team.untag_resource(resourceArn=others, tagKeys=["team"])
    assert admin.list_tags_for_resource(resourceArn=others)["tags"] == {"team": "sound"}


def test_a_job_without_the_tag_has_no_owner(deployed: Deployed) -> None:
    """What AWS Batch leaves open, and the documentation says."""
    team, admin = deployed.acting_as("TeamRole"), deployed.cloud.client("batch")
    untagged = deployed.submit(admin, "Line")
    team.tag_resource(resourceArn=untagged, tags=TAGS)
    team.terminate_job(jobId=_id(untagged), reason="taken")


def _id(job_arn: str) -> str:
    return job_arn.rpartition("/")[2]
