"""`batch-stack local start --enforce-iam`: who may do what, and how a denial is worded."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished, function, invoke, runnable_job
from tests.support import wait_for

pytestmark = pytest.mark.cloud

ACCOUNT = "000000000000"
BATCH = f"arn:aws:batch:us-east-1:{ACCOUNT}:"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = LocalCloud(tmp_path_factory.mktemp("enforced"))
    running.start("--enforce-iam")
    runnable_job(running, "bench", ["true"])
    yield running
    running.stop()


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def user(cloud: LocalCloud, name: str, *statements: dict[str, Any]) -> Any:
    """A user with a policy of these statements; answers what makes clients of theirs."""
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: boto3.client(
        service,
        endpoint_url=cloud.record.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def role(cloud: LocalCloud, name: str, service: str, *statements: dict[str, Any], **condition: Any) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        **({"Condition": condition} if condition else {}),
    }
    iam = cloud.client("iam")
    created = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
    return str(created["Role"]["Arn"])


@contextlib.contextmanager
def denied(action: str, resource: str, why: str = "") -> Iterator[None]:
    why = why or f"because no identity-based policy allows the {action} action"
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert f"is not authorized to perform: {action} on resource: {resource} {why}" in error["Message"]


def register(batch: Any, name: str = "mine", **container: Any) -> Any:
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    properties = {"image": "busybox", "command": ["true"], "resourceRequirements": needs, **container}
    return batch.register_job_definition(
        jobDefinitionName=name, type="container", containerProperties=properties
    )


def test_the_administrators_keys_may_do_everything_and_others_must_be_known(cloud: LocalCloud) -> None:
    assert cloud.client("batch").describe_job_queues()["jobQueues"]
    for key, secret in (("AKIAIOSFODNN7EXAMPLE", "x"), (None, None)):
        stranger = boto3.client(
            "batch",
            endpoint_url=cloud.record.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=key or "k",
            aws_secret_access_key=secret or "s",
        )
        with pytest.raises(ClientError, match="security token included in the request is invalid"):
            stranger.describe_job_queues()


def test_a_user_without_a_policy_may_do_nothing(cloud: LocalCloud) -> None:
    batch = user(cloud, "nobody")("batch")
    with denied("batch:DescribeJobQueues", "*"):
        batch.describe_job_queues()
    with denied("batch:SubmitJob", f"{BATCH}job-definition/bench"):
        batch.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench")
    with denied("batch:DeleteJobQueue", f"{BATCH}job-queue/bench"):
        batch.delete_job_queue(jobQueue="bench")


def test_a_wrong_signature_is_refused(cloud: LocalCloud) -> None:
    key = cloud.client("iam")
    key.create_user(UserName="forged")
    access = key.create_access_key(UserName="forged")["AccessKey"]["AccessKeyId"]
    forged = boto3.client(
        "batch",
        endpoint_url=cloud.record.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key="not-the-secret",
    )
    with pytest.raises(ClientError, match="signature we calculated does not match"):
        forged.describe_job_queues()


def test_submitting_needs_the_queue_and_the_definition_as_they_are_named(cloud: LocalCloud) -> None:
    """`job-definition/bench:*` alone does not allow submitting by the bare name."""
    queue, definition = f"{BATCH}job-queue/bench", f"{BATCH}job-definition/bench"
    revisions = user(cloud, "revisions", allow("batch:SubmitJob", [queue, f"{definition}:*"]))("batch")
    revisions.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench:1")
    with denied("batch:SubmitJob", definition):
        revisions.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench")
    bare = user(cloud, "bare", allow("batch:SubmitJob", [queue, definition]))("batch")
    bare.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench")
    with denied("batch:SubmitJob", f"{definition}:1"):
        bare.submit_job(jobName="j", jobQueue="bench", jobDefinition=f"{definition}:1")
    no_queue = user(cloud, "no-queue", allow("batch:SubmitJob", [definition, f"{definition}:*"]))("batch")
    with denied("batch:SubmitJob", queue):
        no_queue.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench")


def test_an_explicit_deny_wins_and_says_so(cloud: LocalCloud) -> None:
    deny = {"Effect": "Deny", "Action": "batch:DescribeJobs", "Resource": "*"}
    batch = user(cloud, "denied", allow("batch:*"), deny)("batch")
    batch.describe_job_queues()
    with denied("batch:DescribeJobs", "*", "with an explicit deny in an identity-based policy"):
        batch.describe_jobs(jobs=["x"])


def test_condition_keys(cloud: LocalCloud) -> None:
    keys = {
        "StringEquals": {"batch:User": "nobody"},
        "Bool": {"batch:Privileged": "false"},
        "StringLike": {"batch:Image": "busybox*"},
    }
    batch = user(cloud, "careful", allow("batch:RegisterJobDefinition", Condition=keys))("batch")
    register(batch, user="nobody", privileged=False)
    mine = f"{BATCH}job-definition/mine"
    for wrong in ({"user": "root"}, {"privileged": True}, {"image": "evil"}, {"user": "nobody"}):
        given = {"user": "nobody", "privileged": False} | wrong
        if wrong == {"user": "nobody"}:
            del given["privileged"]
        with denied("batch:RegisterJobDefinition", mine):
            register(batch, **given)


def test_tags_of_the_request_and_of_the_resource(cloud: LocalCloud) -> None:
    admin = cloud.client("batch")
    admin.tag_resource(resourceArn=f"{BATCH}job-queue/bench", tags={"team": "a"})
    literal = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    other = {"StringEquals": {"aws:ResourceTag/team": "b"}}
    one = user(cloud, "team-a", allow("batch:GetJobQueueSnapshot", Condition=literal))("batch")
    one.get_job_queue_snapshot(jobQueue="bench")
    two = user(cloud, "team-b", allow("batch:GetJobQueueSnapshot", Condition=other))("batch")
    with denied("batch:GetJobQueueSnapshot", f"{BATCH}job-queue/bench"):
        two.get_job_queue_snapshot(jobQueue="bench")
    tagged = {"StringEquals": {"aws:RequestTag/cost": "1"}}
    tagger = user(cloud, "tagger", allow("batch:SubmitJob"), allow("batch:TagResource", Condition=tagged))(
        "batch"
    )
    tagger.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench", tags={"cost": "1"})
    with denied("batch:TagResource", f"{BATCH}job/*"):
        tagger.submit_job(jobName="j", jobQueue="bench", jobDefinition="bench", tags={"cost": "2"})


def test_passing_a_role_needs_permission(cloud: LocalCloud) -> None:
    job_role = role(cloud, "passed", "ecs-tasks.amazonaws.com")
    to_ecs = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    may = user(cloud, "passer", allow("batch:*"), allow("iam:PassRole", job_role, Condition=to_ecs))("batch")
    register(may, "passing", jobRoleArn=job_role)
    may_not = user(cloud, "non-passer", allow("batch:*"))("batch")
    with denied("iam:PassRole", job_role):
        register(may_not, "passing", jobRoleArn=job_role)
    register(may_not, "without-a-role")


def test_many_jobs_at_once_are_refused_one_by_one(cloud: LocalCloud) -> None:
    admin = cloud.client("batch")
    register(admin, "sleeper", command=["sleep", "600"])
    ids = [
        admin.submit_job(jobName="s", jobQueue="bench", jobDefinition="sleeper")["jobId"] for _ in range(2)
    ]
    batch = user(cloud, "terminator", allow("batch:TerminateJob", f"{BATCH}job/{ids[0]}"))("batch")
    answer = batch.terminate_jobs(jobs=ids, reason="r")
    assert answer["successful"] == [ids[0]]
    ((job, code, message),) = [(e["job"], e["code"], e["message"]) for e in answer["errors"]]
    assert (job, code) == (ids[1], "AccessDenied")
    assert f"batch:TerminateJob on resource: {BATCH}job/{ids[1]}" in message
    assert finished(cloud, ids[0])["isTerminated"] is True
    assert batch.terminate_jobs(jobs=ids[1:], reason="r")["successful"] == []
    admin.terminate_job(jobId=ids[1], reason="end of the test")


def test_a_job_has_what_its_job_role_has(cloud: LocalCloud) -> None:
    s3 = cloud.client("s3")
    for bucket in ("may", "may-not"):
        s3.create_bucket(Bucket=f"role-{bucket}")
    job_role = role(
        cloud,
        "writer",
        "ecs-tasks.amazonaws.com",
        allow("s3:PutObject", "arn:aws:s3:::role-may/*"),
        StringEquals={"aws:SourceAccount": ACCOUNT},
        ArnLike={"aws:SourceArn": f"arn:aws:ecs:us-east-1:{ACCOUNT}:*"},
    )
    program = """
import boto3, botocore
s3 = boto3.client("s3", region_name="us-east-1")
s3.put_object(Bucket="role-may", Key="k", Body=b"x")
for attempt in (
    lambda: s3.put_object(Bucket="role-may-not", Key="k", Body=b"x"),
    lambda: s3.get_object(Bucket="role-may", Key="k"),
    lambda: boto3.client("batch", region_name="us-east-1").describe_job_queues(),
):
    try:
        attempt()
    except botocore.exceptions.ClientError as error:
        assert "AccessDenied" in error.response["Error"]["Code"], error
    else:
        raise SystemExit("was not denied")
"""
    admin = cloud.client("batch")
    register(admin, "writer", command=["python3", "-c", program], jobRoleArn=job_role)
    job_id = admin.submit_job(jobName="w", jobQueue="bench", jobDefinition="writer")["jobId"]
    job = finished(cloud, job_id)
    assert job["status"] == "SUCCEEDED", cloud.client("logs").filter_log_events(
        logGroupName="/aws/batch/job", logStreamNames=[job["container"]["logStreamName"]]
    )


def test_a_function_has_what_its_role_has(cloud: LocalCloud) -> None:
    source = """
import boto3, botocore
def handler(event, context):
    who = boto3.client("sts").get_caller_identity()["Arn"]
    boto3.client("batch").describe_job_queues()
    try:
        boto3.client("batch").describe_jobs(jobs=["x"])
    except botocore.exceptions.ClientError as error:
        return [who, error.response["Error"]["Code"]]
"""
    arn = role(cloud, "of-a-function", "lambda.amazonaws.com", allow("batch:DescribeJobQueues"))
    function(cloud, "acts", source, role=arn)
    who, code = invoke(cloud, "acts")
    assert who == f"arn:aws:sts::{ACCOUNT}:assumed-role/of-a-function/acts"
    assert code == "AccessDeniedException"


@pytest.mark.parametrize("where", ["secret", "parameter"])
def test_secrets_are_read_with_the_execution_role(cloud: LocalCloud, where: str) -> None:
    if where == "secret":
        created = cloud.client("secretsmanager").create_secret(Name="token", SecretString="hush")
        named, action = created["ARN"], "secretsmanager:GetSecretValue"
    else:
        cloud.client("ssm").put_parameter(Name="/team/token", Value="hush", Type="SecureString")
        named, action = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/token", "ssm:GetParameters"
    may = role(cloud, f"reads-{where}", "ecs-tasks.amazonaws.com", allow(action, named))
    may_not = role(cloud, f"reads-no-{where}", "ecs-tasks.amazonaws.com", allow("s3:*"))
    batch = cloud.client("batch")
    for execution_role, status in ((may, "SUCCEEDED"), (may_not, "FAILED")):
        register(
            batch,
            f"reader-{where}",
            command=["sh", "-c", 'test "$TOKEN" = hush'],
            executionRoleArn=execution_role,
            secrets=[{"name": "TOKEN", "valueFrom": named}],
        )
        submitted = batch.submit_job(jobName="r", jobQueue="bench", jobDefinition=f"reader-{where}")
        job = finished(cloud, submitted["jobId"])
        assert job["status"] == status, job.get("statusReason")
    reason = job["container"]["reason"]
    assert reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    # No reason of a task has more than 255 characters.
    assert f"assumed-role/reads-no-{where}/execution is not authorized to perform: {action[:12]}" in reason


def test_a_rule_delivers_with_its_targets_role(cloud: LocalCloud) -> None:
    sqs, events, batch = cloud.client("sqs"), cloud.client("events"), cloud.client("batch")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    dead = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    what = [f"{BATCH}job-queue/bench", f"{BATCH}job-definition/bench"]
    roles = {
        "may": role(cloud, "invokes", "events.amazonaws.com", allow("batch:SubmitJob", what)),
        "NO_PERMISSIONS": role(cloud, "invokes-nothing", "events.amazonaws.com", allow("sqs:*")),
        "FAILED_TO_ASSUME_ROLE": role(cloud, "of-lambda", "lambda.amazonaws.com", allow("batch:*")),
    }
    events.put_rule(Name="each", EventPattern='{"source": ["test"]}')
    events.put_targets(
        Rule="each",
        Targets=[
            {
                "Id": name,
                "Arn": f"{BATCH}job-queue/bench",
                "RoleArn": arn,
                "BatchParameters": {"JobName": f"by-{name}", "JobDefinition": "bench"},
                "DeadLetterConfig": {"Arn": dead},
            }
            for name, arn in roles.items()
        ],
    )
    events.put_events(Entries=[{"Source": "test", "DetailType": "x", "Detail": "{}"}])
    letters: dict[str, str] = {}

    def buried() -> bool:
        found = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in found.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            attributes = message["MessageAttributes"]
            letters[attributes["ERROR_CODE"]["StringValue"]] = attributes["ERROR_MESSAGE"]["StringValue"]
        return len(letters) == 2

    wait_for(buried, "both dead letters")
    assert set(letters) == {"NO_PERMISSIONS", "FAILED_TO_ASSUME_ROLE"}
    assert "assumed-role/invokes-nothing/" in letters["NO_PERMISSIONS"]
    assert "is not authorized to perform: batch:SubmitJob on resource:" in letters["NO_PERMISSIONS"]

    def submitted() -> list[str]:
        everything = [{"name": "JOB_NAME", "values": ["by-*"]}]
        listed = batch.list_jobs(jobQueue="bench", filters=everything)["jobSummaryList"]
        return [job["jobName"] for job in listed]

    wait_for(lambda: submitted() == ["by-may"], "the job of the rule that may")


def test_a_state_machine_submits_with_its_role(cloud: LocalCloud) -> None:
    states = cloud.client("stepfunctions")
    parameters = {"JobName": "s", "JobQueue": "bench", "JobDefinition": "bench"}
    resource = "arn:aws:states:::batch:submitJob"
    task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    definition = json.dumps({"StartAt": "Task", "States": {"Task": task}})
    outcomes = {}
    for name, statement in (("steps", allow("batch:SubmitJob")), ("no-steps", allow("s3:*"))):
        arn = role(cloud, name, "states.amazonaws.com", statement)
        machine = states.create_state_machine(name=name, roleArn=arn, definition=definition)
        execution = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

        def ended(arn: str = execution) -> dict[str, Any] | None:
            now = dict(states.describe_execution(executionArn=arn))
            return now if now["status"] != "RUNNING" else None

        outcomes[name] = wait_for(ended, f"the end of {name}")
    assert outcomes["steps"]["status"] == "SUCCEEDED"
    assert outcomes["no-steps"]["error"] == "Batch.AWSBatchException"
    assert f"batch:SubmitJob on resource: {BATCH}job-definition/bench" in outcomes["no-steps"]["cause"]
