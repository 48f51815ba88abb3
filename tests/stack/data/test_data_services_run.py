"""A job as it is provisioned, in the local cloud with IAM enforced: it uses all that it was given."""

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings import parse_settings
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished
from tests.conformance.cloud.test_stacks import Stack
from tests.stack.everything import EVERYTHING

pytestmark = pytest.mark.cloud

ROOT = Path(__file__).resolve().parents[3]
WORKER = """
import boto3, os
env = os.environ
s3, table = boto3.client("s3"), boto3.resource("dynamodb").Table(env["JOB_TABLE"])
s3.put_object(Bucket=env["SCRATCH_BUCKET"], Key="half", Body=b"done")
assert s3.get_object(Bucket=env["SCRATCH_BUCKET"], Key="half")["Body"].read() == b"done"
s3.put_object(Bucket=env["OUTPUT_BUCKET"], Key="whole", Body=b"done")
key = {"job_id": env["AWS_BATCH_JOB_ID"]}
table.put_item(Item={**key, "state": "begun", "user": env["DATABASE_USER"]})
table.update_item(Key=key, UpdateExpression="SET port = :p",
                  ExpressionAttributeValues={":p": env["DATABASE_PORT"]})
assert table.get_item(Key=key)["Item"]["state"] == "begun"
put = boto3.client("events").put_events(Entries=[
    {"EventBusName": env["EVENT_BUS_NAME"], "Source": "work", "DetailType": "Done", "Detail": "{}"}])
assert put["FailedEntryCount"] == 0, put
sqs = boto3.client("sqs")
sqs.send_message(QueueUrl=env["WORK_QUEUE_URL"], MessageBody="first")
(taken,) = sqs.receive_message(QueueUrl=env["WORK_QUEUE_URL"])["Messages"]
sqs.delete_message(QueueUrl=env["WORK_QUEUE_URL"], ReceiptHandle=taken["ReceiptHandle"])
sqs.send_message(QueueUrl=env["WORK_QUEUE_URL"], MessageBody=env["DATABASE_PASSWORD"])
open("/shared/file", "w").write(env["DATABASE_NAME"])
for refused in (lambda: s3.delete_object(Bucket=env["OUTPUT_BUCKET"], Key="whole"),
                lambda: table.scan(), lambda: table.delete_item(Key=key)):
    try:
        refused()
    except Exception as error:
        assert "AccessDenied" in str(error), error
    else:
        raise SystemExit(41)
"""

# A job that uses nothing is told of nothing; one that finds out where things are is refused all the same.
NOSY = """
import boto3, os
env = os.environ
assert not [name for name in env if name.endswith("_BUCKET") or name.startswith(("DATABASE", "JOB_TABLE"))]
s3, sqs, events = (boto3.client(name) for name in ("s3", "sqs", "events"))
table = boto3.resource("dynamodb").Table(env["THEIR_TABLE"])
for refused in (lambda: s3.list_objects_v2(Bucket=env["THEIR_INPUT"]),
                lambda: s3.put_object(Bucket=env["THEIR_OUTPUT"], Key="k", Body=b""),
                lambda: table.get_item(Key={"job_id": "x"}),
                lambda: sqs.send_message(QueueUrl=env["THEIR_QUEUE"], MessageBody="x"),
                lambda: events.put_events(Entries=[{"EventBusName": env["THEIR_BUS"], "Source": "s",
                                                    "DetailType": "d", "Detail": "{}"}])):
    try:
        refused()
    except Exception as error:
        assert "AccessDenied" in str(error) or "not authorized" in str(error), error
    else:
        raise SystemExit(42)
"""


class Deployed:
    """The stack in a local cloud, with the assets that the CDK would have published."""

    def __init__(self, cloud: LocalCloud, assembly: Path) -> None:
        self.cloud = cloud
        bucket, s3 = "cdk-hnb659fds-assets-000000000000-us-east-1", cloud.client("s3")
        s3.create_bucket(Bucket=bucket)
        manifest = json.loads((assembly / "everything.assets.json").read_text())
        for asset in manifest["files"].values():
            path, (destination,) = assembly / asset["source"]["path"], asset["destinations"].values()
            body = _zipped(path) if path.is_dir() else path.read_bytes()
            s3.put_object(Bucket=bucket, Key=destination["objectKey"], Body=body)
        # Longer than what a request of CloudFormation may hold.
        s3.upload_file(str(assembly / "everything.template.json"), bucket, "template")
        cloud.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        stack = Stack(cloud, "everything")
        stack.cloudformation.create_stack(
            StackName="everything",
            TemplateURL=f"{cloud.record.endpoint_url}/{bucket}/template",
            Capabilities=["CAPABILITY_IAM"],
        )
        assert stack.settled() == "CREATE_COMPLETE", stack.reasons()
        self.outputs = stack.outputs()


def _zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    return archive.getvalue()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, new_app: Callable[[], Any]) -> Iterator[Deployed]:
    work = {**EVERYTHING["jobs"]["work"], "command": [sys.executable, "-c", WORKER]}
    nosy = {"image": work["image"], "command": [sys.executable, "-c", NOSY], "uses": []}
    settings = parse_settings({**EVERYTHING, "jobs": {"work": work, "nosy": nosy}}, source="test")
    app = new_app()
    batch_stack.BatchStack(app, "everything", settings=settings, containers_dir=ROOT / "containers")
    assembly = Path(app.synth().directory)
    cloud = LocalCloud(tmp_path_factory.mktemp("cloud"))
    cloud.start("--enforce-iam")
    try:
        yield Deployed(cloud, assembly)
    finally:
        cloud.stop()


def test_a_job_uses_what_it_was_given_and_nothing_more(deployed: Deployed) -> None:
    cloud, out = deployed.cloud, deployed.outputs
    submitted = cloud.client("batch").submit_job(
        jobName="work", jobQueue=out["LowQueueArn"], jobDefinition=out["WorkJobDefinitionArn"]
    )
    job = finished(cloud, submitted["jobId"])
    assert job["status"] == "SUCCEEDED", f"{job['attempts']}"

    table = cloud.client("dynamodb")
    item = table.get_item(TableName=out["JobTableName"], Key={"job_id": {"S": job["jobId"]}})["Item"]
    assert (item["user"]["S"], item["port"]["S"]) == ("postgres", "5432")
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=out["DatabaseSecretArn"])
    (message,) = cloud.client("sqs").receive_message(QueueUrl=out["WorkQueueUrl"])["Messages"]
    assert message["Body"] == json.loads(secret["SecretString"])["password"]
    (shared,) = cloud.data_dir.glob(f"**/{out['FileSystemId']}/access-points/*/file")
    assert shared.read_text() == "outcomes"


def test_a_job_reaches_nothing_of_what_it_does_not_use(deployed: Deployed) -> None:
    cloud, out = deployed.cloud, deployed.outputs
    named = {
        "INPUT": "InputBucketName",
        "OUTPUT": "OutputBucketName",
        "TABLE": "JobTableName",
        "QUEUE": "WorkQueueUrl",
        "BUS": "EventBusName",
    }
    told = [{"name": f"THEIR_{name}", "value": out[output]} for name, output in named.items()]
    submitted = cloud.client("batch").submit_job(
        jobName="nosy",
        jobQueue=out["LowQueueArn"],
        jobDefinition=out["NosyJobDefinitionArn"],
        containerOverrides={"environment": told},
    )
    job = finished(cloud, submitted["jobId"])
    assert job["status"] == "SUCCEEDED", f"{job['attempts']}"


def test_a_budget_is_described_and_the_queue_stays_enabled_while_nothing_is_spent(
    deployed: Deployed,
) -> None:
    cloud = deployed.cloud
    budgets = cloud.client("budgets").describe_budgets(AccountId="000000000000")["Budgets"]
    assert sorted(budget["BudgetLimit"]["Amount"] for budget in budgets) == ["500", "99.5"]
    (function,) = (
        one["FunctionName"]
        for one in cloud.client("lambda").list_functions()["Functions"]
        if "DisableQueue" in one["FunctionName"]
    )
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=b'{"Records": []}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    (queue,) = cloud.client("batch").describe_job_queues(jobQueues=[deployed.outputs["LowQueueArn"]])[
        "jobQueues"
    ]
    assert queue["state"] == "ENABLED"
