"""The deployed stack with IAM enforced: everything works, and no role can do what is not its own."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batch_cli.demo.children import Children
from batch_cli.demo.platform import Platform
from batch_cli.demo.run import ROOT
from tests.acting import acting_as, outcome
from tests.support import wait_for

pytestmark = pytest.mark.cloud

IMAGE = ROOT / "containers/media/sample/chelsea.png"
DEADLINE_S = 90.0
FOREIGN = "somebody-elses"


@pytest.fixture(scope="module")
def enforced(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The same assembly, bootstrapped and deployed by the real CDK where policies count."""
    data_dir = tmp_path_factory.mktemp("enforced-cloud")
    shutil.copytree(platform.assembly, data_dir / "cdk.out")
    with Children() as children:
        deployed = Platform(ROOT, data_dir, children, start_options=("--enforce-iam",))
        deployed.start()
        deployed.finish("cdk-bootstrap", deployed.bootstrap())
        deployed.finish("cdk-deploy", deployed.deploy())
        deployed.read_outputs()
        _make_what_is_not_the_stacks(deployed)
        yield deployed
        deployed.stop()


def _make_what_is_not_the_stacks(platform: Platform) -> None:
    platform.client("s3").create_bucket(Bucket=FOREIGN)
    platform.client("sqs").create_queue(QueueName=FOREIGN)
    platform.client("sns").create_topic(Name=FOREIGN)
    platform.client("secretsmanager").create_secret(Name=FOREIGN, SecretString="hush")
    platform.client("logs").create_log_group(logGroupName=FOREIGN)
    batch = platform.client("batch")
    resources = {
        "type": "EC2",
        "maxvCpus": 4,
        "minvCpus": 0,
        "instanceTypes": ["m6i"],
        "instanceRole": "ecsInstanceRole",
        "subnets": ["subnet-1"],
    }
    environment = batch.create_compute_environment(
        computeEnvironmentName=FOREIGN, type="MANAGED", computeResources=resources
    )
    order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
    batch.create_job_queue(jobQueueName=FOREIGN, priority=1, computeEnvironmentOrder=order)
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    batch.register_job_definition(
        jobDefinitionName=FOREIGN,
        type="container",
        containerProperties={"image": "busybox", "command": ["true"], "resourceRequirements": needs},
    )


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:000000000000:{resource}"


# What no role of a batch platform needs: neither of what is others', nor of the account as a whole.
PROBES: dict[str, Callable[[Callable[[str], Any]], Any]] = {
    "read another bucket": lambda aws: aws("s3").list_objects_v2(Bucket=FOREIGN),
    "write to another bucket": lambda aws: aws("s3").put_object(Bucket=FOREIGN, Key="k", Body=b"x"),
    "list every bucket": lambda aws: aws("s3").list_buckets(),
    "submit to another queue": lambda aws: aws("batch").submit_job(
        jobName="j", jobQueue=FOREIGN, jobDefinition=FOREIGN
    ),
    "terminate a job": lambda aws: aws("batch").terminate_job(jobId="any", reason="r"),
    "register a definition": lambda aws: aws("batch").register_job_definition(
        jobDefinitionName="evil", type="container", containerProperties={"image": "evil"}
    ),
    "delete a queue": lambda aws: aws("batch").delete_job_queue(jobQueue=FOREIGN),
    "read another's messages": lambda aws: aws("sqs").receive_message(
        QueueUrl=f"http://127.0.0.1/000000000000/{FOREIGN}"
    ),
    "publish to another topic": lambda aws: aws("sns").publish(TopicArn=_arn("sns", FOREIGN), Message="m"),
    "read a secret": lambda aws: aws("secretsmanager").get_secret_value(SecretId=FOREIGN),
    "write another's log": lambda aws: aws("logs").create_log_stream(logGroupName=FOREIGN, logStreamName="s"),
    "look at roles": lambda aws: aws("iam").list_roles(),
    "make a user": lambda aws: aws("iam").create_user(UserName="evil"),
    "change a function": lambda aws: aws("lambda").list_functions(),
    "change a stack": lambda aws: aws("cloudformation").delete_stack(StackName="CDKToolkit"),
    "start an instance": lambda aws: aws("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1),
}


def roles(platform: Platform) -> dict[str, str]:
    """The stack's roles: names by logical id."""
    (stack,) = [
        stack
        for stack in platform.client("cloudformation").describe_stacks()["Stacks"]
        if stack["StackName"] != "CDKToolkit"
    ]
    pages = platform.client("cloudformation").get_paginator("list_stack_resources")
    return {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in pages.paginate(StackName=stack["StackName"])
        for item in page["StackResourceSummaries"]
        if item["ResourceType"] == "AWS::IAM::Role"
    }


def acting(platform: Platform, role_name: str) -> Callable[[str], Any]:
    """Makes clients that sign as a role."""
    assert platform.record is not None
    return acting_as(platform.client, platform.record.endpoint_url, role_name)


def test_a_dropped_file_becomes_a_result_under_least_privilege(enforced: Platform) -> None:
    s3, batch = enforced.client("s3"), enforced.client("batch")
    bucket, key = enforced.outputs["InputBucketName"], "media/least privilege.png"
    s3.put_object(Bucket=bucket, Key=key, Body=IMAGE.read_bytes())
    dropped = [{"name": "JOB_NAME", "values": ["media-*"]}]

    def ended() -> dict[str, Any] | None:
        listed = batch.list_jobs(jobQueue=enforced.outputs["StandardQueueArn"], filters=dropped)
        for job in listed["jobSummaryList"]:
            if job["status"] in ("SUCCEEDED", "FAILED"):
                return dict(job)
        return None

    job = wait_for(ended, "the end of the job", DEADLINE_S)
    assert job["status"] == "SUCCEEDED", job
    made = s3.list_objects_v2(Bucket=enforced.outputs["OutputBucketName"], Prefix=f"{key}/")["Contents"]
    assert {item["Key"].rpartition("/")[2] for item in made} == {
        "thumbnail.jpg",
        "rendition.webp",
        "result.json",
    }


def test_no_role_can_do_what_is_not_its_own(enforced: Platform) -> None:
    found = roles(enforced)
    assert len(found) >= 5, found
    results = {
        (logical_id, probe): outcome(lambda aws=signed, attempt=attempt: attempt(aws))
        for logical_id, name in found.items()
        for signed in [acting(enforced, name)]
        for probe, attempt in PROBES.items()
    }
    assert {pair: result for pair, result in results.items() if result != "denied"} == {}


def test_the_administrator_is_denied_none_of_it(enforced: Platform) -> None:
    """What is denied above is denied by policy: it is there, and it can be done."""
    harmless = [
        "read another bucket",
        "write to another bucket",
        "list every bucket",
        "submit to another queue",
        "publish to another topic",
        "read a secret",
        "look at roles",
    ]
    results = {probe: outcome(lambda probe=probe: PROBES[probe](enforced.client)) for probe in harmless}
    assert results == dict.fromkeys(harmless, "allowed")


def test_the_function_submits_to_its_queue_and_does_nothing_else_there(enforced: Platform) -> None:
    (name,) = [name for logical_id, name in roles(enforced).items() if "FunctionRole" in logical_id]
    batch = acting(enforced, name)("batch")
    outputs = enforced.outputs
    submission = {"jobName": "by-the-function", "jobQueue": outputs["StandardQueueArn"]}
    definition = outputs["MediaJobDefinitionArn"]
    parameters = {"input": "s3://none/none", "output": "s3://none/none"}
    bare = definition.rpartition(":")[0]
    for named in (definition, bare):
        batch.submit_job(**submission, jobDefinition=named, parameters=parameters)
    elsewhere = {**submission, "jobQueue": outputs["BulkQueueArn"]}
    for refused in (
        lambda: batch.submit_job(**submission, jobDefinition=FOREIGN),
        lambda: batch.submit_job(**elsewhere, jobDefinition=definition),
        batch.describe_job_queues,
        lambda: batch.list_jobs(jobQueue=outputs["StandardQueueArn"]),
        lambda: batch.deregister_job_definition(jobDefinition=definition),
        lambda: batch.update_job_queue(jobQueue=outputs["StandardQueueArn"], state="DISABLED"),
    ):
        assert outcome(refused) == "denied"


def test_the_job_reads_its_input_and_writes_its_output_and_no_more(enforced: Platform) -> None:
    (name,) = [name for logical_id, name in roles(enforced).items() if "JobJobRole" in logical_id]
    s3 = acting(enforced, name)("s3")
    source, results = enforced.outputs["InputBucketName"], enforced.outputs["OutputBucketName"]
    enforced.client("s3").put_object(Bucket=source, Key="other/seen", Body=b"x")
    s3.get_object(Bucket=source, Key="other/seen")
    s3.put_object(Bucket=results, Key="made", Body=b"x")
    for refused in (
        lambda: s3.put_object(Bucket=source, Key="k", Body=b"x"),
        lambda: s3.delete_object(Bucket=source, Key="other/seen"),
        lambda: s3.delete_object(Bucket=results, Key="made"),
        lambda: s3.put_bucket_policy(Bucket=results, Policy="{}"),
        lambda: s3.get_bucket_policy(Bucket=source),
    ):
        assert outcome(refused) == "denied"
