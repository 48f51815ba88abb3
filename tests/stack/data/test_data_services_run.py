"""A job as it is provisioned, in the local cloud with IAM enforced: it uses all that it was given."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from tests.acting import acting_as, outcome
from tests.assemblies import bootstrap, deploy, physical_id
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished
from tests.stack.everything import EVERYTHING
from tests.support import wait_for

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
        bootstrap(cloud)
        self.stack = deploy(cloud, assembly)
        assert self.stack.settled() == "CREATE_COMPLETE", self.stack.reasons()
        self.outputs = self.stack.outputs()

    def physical_id(self, prefix: str) -> str:
        return physical_id(self.stack, prefix)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, new_app: Callable[[], Any]) -> Iterator[Deployed]:
    work = {**EVERYTHING["jobs"]["work"], "command": [sys.executable, "-c", WORKER]}
    nosy = {"image": work["image"], "command": [sys.executable, "-c", NOSY], "uses": []}
    told = {
        "image": work["image"],
        "command": [sys.executable, "-c", "import sys; print(sys.argv)", "Ref::time"],
    }
    schedule = {"expression": "at(2020-01-01T00:00:00)", "job": "told", "tier": "high"}
    schedule |= {"parameters": {"time": "<aws.scheduler.scheduled-time>"}}
    changed = {"jobs": {"work": work, "nosy": nosy, "told": told}, "schedules": {"overdue": schedule}}
    settings = parse_settings({**EVERYTHING, **changed}, source="test")
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


def test_a_schedule_submits_its_job_with_the_time_that_it_means(deployed: Deployed) -> None:
    batch, queue = deployed.cloud.client("batch"), deployed.outputs["HighQueueArn"]

    def submitted() -> list[Any]:
        # With a filter, of all states in one list: a job that moves on is in it once.
        named = {"name": "JOB_NAME", "values": ["overdue"]}
        return list(batch.list_jobs(jobQueue=queue, filters=[named])["jobSummaryList"])

    (summary,) = wait_for(submitted, "a job of the schedule")
    job = finished(deployed.cloud, summary["jobId"])
    assert job["status"] == "SUCCEEDED", job["attempts"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", job["container"]["command"][-1])


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


class Budget:
    """The budget of the tier low, as those see it who pay, submit and are told."""

    def __init__(self, deployed: Deployed) -> None:
        self.cloud = deployed.cloud
        self.queue = deployed.outputs["LowQueueArn"]
        self.name = deployed.physical_id("LowTierBudget")
        self.topic = deployed.physical_id("LowTierBudgetTopic")
        self.function_log = deployed.physical_id("LowTierBudgetFunctionLogGroup")
        self.function_role = deployed.physical_id("LowTierBudgetFunctionRole")
        self.dead_letters = deployed.physical_id("LowTierBudgetDeadLetterQueue")
        sqs = self.cloud.client("sqs")
        self.inbox = sqs.create_queue(QueueName="people")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.inbox, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        people = deployed.outputs["NotificationTopicArn"]
        self.cloud.client("sns").subscribe(TopicArn=people, Protocol="sqs", Endpoint=arn)
        policy = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
        }
        statement = {**policy, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": people}}}
        sqs.set_queue_attributes(
            QueueUrl=self.inbox,
            Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})},
        )

    def limit(self, usd: str) -> None:
        """Nothing costs money here: a budget of nothing is used up, and any other is not."""
        budgets = self.cloud.client("budgets")
        budget = budgets.describe_budget(AccountId="000000000000", BudgetName=self.name)["Budget"]
        changed = {
            "BudgetName": self.name,
            "BudgetType": budget["BudgetType"],
            "TimeUnit": budget["TimeUnit"],
            "CostFilters": budget["CostFilters"],
            "BudgetLimit": {"Amount": usd, "Unit": "USD"},
        }
        budgets.update_budget(AccountId="000000000000", NewBudget=changed)

    def notify(self) -> None:
        """Publish as AWS Budgets does, to the topic that the budget names for 100 percent."""
        budgets = self.cloud.client("budgets")
        asked = {"AccountId": "000000000000", "BudgetName": self.name}
        told = [
            subscriber["Address"]
            for one in budgets.describe_notifications_for_budget(**asked)["Notifications"]
            if one["Threshold"] == 100
            for subscriber in budgets.describe_subscribers_for_notification(**asked, Notification=one)[
                "Subscribers"
            ]
        ]
        assert told == [self.topic]
        self.cloud.client("sns").publish(
            TopicArn=self.topic,
            Subject=f"AWS Budgets: {self.name} has exceeded your alert threshold",
            Message="You requested that we alert you when the ACTUAL Cost is greater than 100% ...",
        )

    def runs_ended(self) -> int:
        """How often the function has run to its end."""
        events = self.cloud.client("logs").filter_log_events(logGroupName=self.function_log)["events"]
        return sum(event["message"].startswith("END ") for event in events)

    def state(self) -> str:
        (queue,) = self.cloud.client("batch").describe_job_queues(jobQueues=[self.queue])["jobQueues"]
        return str(queue["state"])


@pytest.fixture
def budget(deployed: Deployed) -> Iterator[Budget]:
    found = Budget(deployed)
    yield found
    found.limit("500")
    deployed.cloud.client("batch").update_job_queue(jobQueue=found.queue, state="ENABLED")


def test_a_budget_that_is_used_up_closes_the_queue_to_new_jobs_and_ends_none(
    deployed: Deployed, budget: Budget, tmp_path: Path
) -> None:
    batch, gate = deployed.cloud.client("batch"), tmp_path / "gate"

    def submit(name: str, **request: Any) -> str:
        held = ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.2; done"]
        submitted = batch.submit_job(
            jobName=name,
            jobQueue=budget.queue,
            jobDefinition=deployed.outputs["NosyJobDefinitionArn"],
            containerOverrides={"command": held},
            **request,
        )
        return str(submitted["jobId"])

    def status(job_id: str) -> str:
        return str(batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"])

    running = submit("runs")
    waiting = submit("waits", dependsOn=[{"jobId": running}])
    wait_for(lambda: status(running) == "RUNNING", "the job's start")

    before = budget.runs_ended()
    budget.notify()
    wait_for(lambda: budget.runs_ended() > before, "the function's first look")
    assert budget.state() == "ENABLED", "AWS Budgets publishes for other reasons, too"

    budget.limit("0")
    budget.notify()
    wait_for(lambda: budget.state() == "DISABLED", "the end of the queue's intake")
    with pytest.raises(batch.exceptions.ClientException, match="DISABLED"):
        submit("late")
    assert (status(running), status(waiting)) == ("RUNNING", "PENDING")
    gate.touch()
    for job_id in (running, waiting):
        assert finished(deployed.cloud, job_id)["status"] == "SUCCEEDED", "what the queue has goes on"

    sqs = deployed.cloud.client("sqs")
    received = wait_for(
        lambda: sqs.receive_message(QueueUrl=budget.inbox, WaitTimeSeconds=1).get("Messages"), "the message"
    )
    told = json.loads(received[0]["Body"])
    assert told["Subject"] == "AWS Batch: the budget of tier low is used up"
    assert budget.queue in told["Message"]
    assert "Messages" not in sqs.receive_message(QueueUrl=budget.dead_letters)


def test_the_function_closes_that_queue_and_no_other(deployed: Deployed, budget: Budget) -> None:
    aws = acting_as(deployed.cloud.client, deployed.cloud.record.endpoint_url, budget.function_role)
    others = deployed.physical_id("HighTierBudget")
    assert (
        outcome(lambda: aws("budgets").describe_budget(AccountId="000000000000", BudgetName=budget.name))
        == "allowed"
    )
    assert (
        outcome(lambda: aws("batch").update_job_queue(jobQueue=budget.queue, state="DISABLED")) == "allowed"
    )
    for refused in (
        lambda: aws("batch").update_job_queue(jobQueue=deployed.outputs["HighQueueArn"], state="DISABLED"),
        lambda: aws("batch").delete_job_queue(jobQueue=budget.queue),
        lambda: aws("batch").describe_job_queues(),
        lambda: aws("budgets").describe_budget(AccountId="000000000000", BudgetName=others),
        lambda: aws("sns").publish(TopicArn=budget.topic, Message="again"),
        lambda: aws("sqs").receive_message(QueueUrl=budget.dead_letters),
    ):
        assert outcome(refused) == "denied"
