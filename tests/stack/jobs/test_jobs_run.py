"""Jobs as they are provisioned, run by the local cloud: what definitions say is what processes get."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import batch_stack
from batch_stack.settings.file import parse_settings
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished
from tests.conformance.cloud.test_stacks import Stack

pytestmark = pytest.mark.cloud

JOBS_IN_ARRAY = 2
# Exits with the number of the first thing that is not as provisioned.
READER = """
set -u
[ "$PASSWORD/$TOKEN" = "s3cret/t0ken" ] || exit 11
[ -n "$INPUT_BUCKET" ] || exit 12
[ -n "$OUTPUT_BUCKET" ] || exit 13
[ "$0" = "hello" ] || exit 14
[ "$AWS_REGION" = "us-east-1" ] || exit 15
echo kept >> /shared/file || exit 16
touch /scratch/file || exit 17
! touch /reference/file || exit 18
[ "$AWS_BATCH_JOB_ARRAY_SIZE" = 2 ] || exit 19
"""
NODES = """
[ "$AWS_BATCH_JOB_NUM_NODES" = 3 ] || exit 21
if [ "$ROLE" = main ]; then
    [ "$AWS_BATCH_JOB_NODE_INDEX" = 1 ] || exit 22
    exit 0
fi
[ "$AWS_BATCH_JOB_NODE_INDEX" != 1 ] || exit 23
"""
MANAGED = 'test "$0/$TOKEN/$MODE" = hello/t0ken/fast && touch /scratch/file'
FILE_SYSTEM = "fs-0123456789abcdef0"


def _efs(path: str, access_point: str, *, read_only: bool = False) -> dict[str, Any]:
    return {
        "type": "efs",
        "path": path,
        "access_point": access_point,
        "file_system_id": FILE_SYSTEM,
        "read_only": read_only,
    }


SETTINGS = {
    "compute": {
        "on_demand": {"type": "on_demand"},
        "rented": {"type": "managed_instances", "instance_types": ["m6i"]},
    },
    "tiers": {
        "critical": {"priority": 1, "compute": ["on_demand"]},
        "rented": {"priority": 1, "compute": ["rented"]},
    },
    "consumable_resources": {"seats": {"total": 1}},
    "jobs": {
        "reader": {
            "image": "busybox",
            "command": ["/bin/sh", "-c", READER, "Ref::greeting"],
            "parameters": {"greeting": "goodbye"},
            "secrets": {
                "PASSWORD": {"secret": "team/db", "field": "password"},
                "TOKEN": {"parameter": "/team/token"},
            },
            "volumes": {
                "shared": _efs("/shared", "fsap-00000000000000001"),
                "reference": _efs("/reference", "fsap-00000000000000002", read_only=True),
            },
            "consumable_resources": {"seats": 1},
            "array_size": 2,
        },
        "nodes": {
            "image": "busybox",
            "command": ["/bin/sh", "-c", NODES],
            "environment": {"ROLE": "worker"},
            "nodes": {"count": 3, "main": 1, "groups": [{"nodes": "1", "environment": {"ROLE": "main"}}]},
        },
        "managed": {
            "image": "busybox",
            "platform": "managed_instances",
            "command": ["/bin/sh", "-c", MANAGED, "Ref::what"],
            "volumes": {"scratch": {"type": "tmpfs", "path": "/scratch", "size_mib": 16}},
            "parameters": {"what": "hello"},
            "environment": {"MODE": "fast"},
            "secrets": {"TOKEN": {"parameter": "/team/token"}},
        },
    },
    "submitters": {"team": {"jobs": ["managed"], "tags": {"team": "red"}, "roles": ["red-team"]}},
    "storage": {"on_delete": "destroy"},
}


@pytest.fixture(scope="module")
def template(cdk: Any, new_app: Callable[[], Any]) -> dict[str, Any]:
    stack = cdk.Stack(new_app(), "jobs", synthesizer=cdk.BootstraplessSynthesizer())
    platform = batch_stack.BatchPlatform(
        stack,
        "Default",
        settings=parse_settings(SETTINGS, source="test"),
        containers_dir=Path("unused"),
    )
    outputs = {
        "Queue": platform.tiers["critical"].queue.job_queue_arn,
        "Seats": platform.consumable_resources["seats"].arn,
        "Reader": platform.jobs["reader"].unversioned_arn,
        "Nodes": platform.jobs["nodes"].unversioned_arn,
        "Managed": platform.jobs["managed"].unversioned_arn,
        "RentedQueue": platform.tiers["rented"].queue.job_queue_arn,
    }
    for name, value in outputs.items():
        cdk.CfnOutput(stack, name, value=value)
    path = Path(stack.node.root.synth().directory) / stack.template_file
    text: dict[str, Any] = json.loads(path.read_text())
    return text


class Deployed:
    """The stack in a local cloud."""

    def __init__(self, cloud: LocalCloud, template: dict[str, Any]) -> None:
        self.cloud = cloud
        self.batch = cloud.client("batch")
        cloud.client("secretsmanager").create_secret(
            Name="team/db", SecretString=json.dumps({"password": "s3cret"})
        )
        cloud.client("ssm").put_parameter(Name="/team/token", Value="t0ken", Type="SecureString")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        cloud.client("iam").create_role(
            RoleName="red-team", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
        )
        stack = Stack(cloud, "jobs")
        stack.cloudformation.create_stack(
            StackName="jobs", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
        )
        assert stack.settled() == "CREATE_COMPLETE", stack.reasons()
        self.arns = stack.outputs()

    def run(self, name: str, queue: str = "Queue", **request: Any) -> dict[str, Any]:
        submitted = self.batch.submit_job(
            jobName=name, jobQueue=self.arns[queue], jobDefinition=self.arns[name], **request
        )
        return finished(self.cloud, submitted["jobId"])


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, template: dict[str, Any]) -> Iterator[Deployed]:
    cloud = LocalCloud(tmp_path_factory.mktemp("cloud"))
    # What the execution role may not read, no job gets.
    cloud.start("--enforce-iam")
    try:
        yield Deployed(cloud, template)
    finally:
        cloud.stop()


def test_an_array_has_its_secrets_volumes_and_parameters_and_takes_turns(deployed: Deployed) -> None:
    job = deployed.run("Reader", parameters={"greeting": "hello"}, arrayProperties={"size": JOBS_IN_ARRAY})
    children = [
        deployed.batch.describe_jobs(jobs=[f"{job['jobId']}:{index}"])["jobs"][0]
        for index in range(JOBS_IN_ARRAY)
    ]
    assert job["status"] == "SUCCEEDED", f"{[child['attempts'] for child in children]}"
    # There is one seat only: the second child began when the first had ended.
    first, second = sorted(children, key=lambda child: child["startedAt"])
    assert first["stoppedAt"] <= second["startedAt"]
    (kept,) = deployed.cloud.data_dir.glob(f"**/{FILE_SYSTEM}/access-points/fsap-00000000000000001/file")
    assert kept.read_text() == "kept\n" * JOBS_IN_ARRAY


def test_a_definitions_own_parameters_are_what_a_job_gets_that_gives_none(deployed: Deployed) -> None:
    job = deployed.run("Reader", arrayProperties={"size": JOBS_IN_ARRAY})
    (child,) = deployed.batch.describe_jobs(jobs=[f"{job['jobId']}:0"])["jobs"]
    assert (job["status"], child["container"]["exitCode"]) == ("FAILED", 14)


def test_nodes_start_together_with_what_their_group_has(deployed: Deployed) -> None:
    job = deployed.run("Nodes")
    assert job["status"] == "SUCCEEDED", f"{job}"
    assert job["nodeProperties"]["numNodes"] == 3


def test_a_job_on_managed_instances_has_its_secret_its_variables_and_its_parameters(
    deployed: Deployed,
) -> None:
    job = deployed.run("Managed", queue="RentedQueue")
    assert job["status"] == "SUCCEEDED", f"{job}"
    (task,) = job["ecsProperties"]["taskProperties"]
    assert [one["name"] for one in task["containers"]] == ["main"]


def test_a_role_of_a_submitter_submits_its_jobs_with_its_tags_and_stops_no_others(deployed: Deployed) -> None:
    role = "arn:aws:iam::000000000000:role/red-team"
    taken = deployed.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    batch = boto3.client(
        "batch",
        endpoint_url=deployed.cloud.record.endpoint_url,
        region_name=deployed.cloud.record.region,
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )
    theirs = {"jobQueue": deployed.arns["RentedQueue"], "jobDefinition": deployed.arns["Managed"]}
    untagged = deployed.batch.submit_job(jobName="untagged", **theirs)["jobId"]
    tagged = batch.submit_job(jobName="tagged", tags={"team": "red"}, **theirs)["jobId"]
    batch.terminate_job(jobId=tagged, reason="done")
    assert batch.describe_jobs(jobs=[tagged, untagged])["jobs"]
    for refused in (
        lambda: batch.terminate_job(jobId=untagged, reason="not ours"),
        lambda: batch.submit_job(jobName="blue", tags={"team": "blue"}, **theirs),
        lambda: batch.submit_job(
            jobName="n", jobQueue=deployed.arns["Queue"], jobDefinition=deployed.arns["Nodes"]
        ),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
