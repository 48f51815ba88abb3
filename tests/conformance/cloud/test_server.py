"""The server around the cloud: where it listens, what it refuses and hides; nothing is left of it."""

import io
import json
import socket
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch_engine.local.server.state import RECORD_FILE, holder_pid
from tests.conformance.cloud.conftest import LocalCloud
from tests.support import wait_for

pytestmark = pytest.mark.cloud

ROLE_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def get(cloud: LocalCloud, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(cloud.record.endpoint_url + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def function(
    cloud: LocalCloud, name: str, source: str, role: str = "arn:aws:iam::000000000000:role/function"
) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", textwrap.dedent(source))
    created = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
    )
    return str(created["FunctionArn"])


def invoke(cloud: LocalCloud, name: str) -> Any:
    answer = cloud.client("lambda").invoke(FunctionName=name)
    return json.loads(answer["Payload"].read())


def runnable_job(cloud: LocalCloud, name: str, command: list[str], **container: Any) -> str:
    """Submit a job on a queue of its own."""
    batch = cloud.client("batch")
    ce = batch.create_compute_environment(
        computeEnvironmentName=name,
        type="MANAGED",
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 4,
            "instanceTypes": ["m6i"],
            "subnets": ["subnet-1"],
            "instanceRole": "ecsInstanceRole",
        },
    )["computeEnvironmentArn"]
    batch.create_job_queue(
        jobQueueName=name, priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": ce}]
    )
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "busybox",
            "command": command,
            "resourceRequirements": needs,
            **container,
        },
    )
    return str(batch.submit_job(jobName=name, jobQueue=name, jobDefinition=name)["jobId"])


def finished(cloud: LocalCloud, job_id: str) -> dict[str, Any]:
    batch = cloud.client("batch")

    def ended() -> dict[str, Any] | None:
        (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
        return job if job["status"] in ("SUCCEEDED", "FAILED") else None

    return dict(wait_for(ended, f"the end of job {job_id}"))


def test_it_says_how_it_is_and_listens_on_the_loopback_only(cloud: LocalCloud) -> None:
    status, health = get(cloud, "/_batch-stack/health")
    assert (status, health["status"], health["pid"]) == (200, "running", cloud.record.pid)
    assert health["data_dir"] == str(cloud.data_dir)
    listening = {
        connection.laddr.ip
        for process in cloud.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_reset_that_would_forget_half_is_refused(cloud: LocalCloud) -> None:
    assert get(cloud, "/_ministack/reset", "POST")[0] == 403


def test_a_function_sees_nothing_of_the_users_credentials(cloud: LocalCloud) -> None:
    function(cloud, "env", "import os\ndef handler(event, context): return dict(os.environ)")
    seen = invoke(cloud, "env")
    assert cloud.environment["AWS_SECRET_ACCESS_KEY"] not in seen.values()
    assert "AWS_PROFILE" not in seen
    assert seen["AWS_ENDPOINT_URL"] == cloud.record.endpoint_url
    assert seen["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


def test_batch_events_reach_the_targets_of_a_rule(cloud: LocalCloud) -> None:
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.batch"], "detail": {"jobName": ["announced"], "status": ["SUCCEEDED"]}}
    events.put_rule(Name="done", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="done", Targets=[{"Id": "1", "Arn": arn}])
    job = finished(cloud, runnable_job(cloud, "announced", ["true"]))

    received = wait_for(
        lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "the event"
    )
    event = json.loads(received[0]["Body"])
    assert event["detail-type"] == "Batch Job State Change"
    assert (event["account"], event["region"]) == ("000000000000", "us-east-1")
    assert event["resources"] == [job["jobArn"]]
    assert event["detail"]["jobId"] == job["jobId"]


def test_nobody_else_may_speak_as_aws_batch(cloud: LocalCloud) -> None:
    entry = {"Source": "aws.batch", "DetailType": "Batch Job State Change", "Detail": "{}"}
    answer = cloud.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 1


def test_log_lines_reach_a_group_and_stream_that_nobody_made(cloud: LocalCloud) -> None:
    job = finished(cloud, runnable_job(cloud, "talks", ["echo", "grüße"]))
    logs = cloud.client("logs")
    stream = job["container"]["logStreamName"]

    def lines() -> list[str]:
        try:
            answer = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in answer["events"]]

    assert wait_for(lines, "the log line") == ["grüße"]


def test_a_job_has_the_credentials_of_its_role(cloud: LocalCloud) -> None:
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))["Role"]["Arn"]
    ask = "import boto3; print(boto3.client('sts', 'us-east-1').get_caller_identity()['Arn'])"
    job = finished(cloud, runnable_job(cloud, "identity", [sys.executable, "-c", ask], jobRoleArn=arn))
    assert job["status"] == "SUCCEEDED", job["statusReason"]
    logs = cloud.client("logs")
    answer = wait_for(
        lambda: logs.filter_log_events(logGroupName="/aws/batch/job", filterPattern="assumed-role")["events"],
        "the job's identity in its log",
    )
    assert "assumed-role/job/" in answer[0]["message"]


def test_a_token_that_nobody_was_given_opens_nothing(cloud: LocalCloud) -> None:
    assert get(cloud, "/_batch-stack/credentials/guess")[0] == 404


def test_a_second_start_on_the_same_data_says_who_is_there(cloud: LocalCloud) -> None:
    second = cloud.cli("start", "--port", "0")
    assert second.returncode != 0
    assert f"(pid {cloud.record.pid})" in second.stderr
    assert "--data-dir" in second.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    other = LocalCloud(tmp_path / "other")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = other.cli("start", "--detach", "--port", port)
    assert refused.returncode != 0
    assert f"port {port} on 127.0.0.1 cannot be opened" in refused.stderr
    assert "server.log" in refused.stderr
    assert holder_pid(other.data_dir) is None


def test_status_counts_jobs_by_queue(cloud: LocalCloud) -> None:
    finished(cloud, runnable_job(cloud, "counted", ["true"]))
    shown = cloud.cli("status")
    assert shown.returncode == 0, shown.stderr
    assert cloud.record.endpoint_url in shown.stdout
    header = next(line for line in shown.stdout.splitlines() if line.startswith("queue ")).split()
    row = next(line for line in shown.stdout.splitlines() if line.startswith("counted ")).split()
    assert dict(zip(header, row, strict=True))["SUCCEEDED"] == "1"


def test_stop_leaves_no_process_and_the_log_no_complaint(own_cloud: LocalCloud) -> None:
    function(own_cloud, "warm", "def handler(event, context): return 1")
    assert invoke(own_cloud, "warm") == 1
    batch = own_cloud.client("batch")
    job_id = runnable_job(own_cloud, "long", ["sleep", "600"])
    wait_for(lambda: batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"] == "RUNNING", "the job running")
    processes = own_cloud.processes()
    assert len(processes) > 2
    log = own_cloud.log()

    own_cloud.stop()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    assert not (own_cloud.data_dir / RECORD_FILE).exists()
    assert list((own_cloud.data_dir / "batch-stack-tmp").iterdir()) == [], "functions' folders"
    assert "Traceback" not in own_cloud.log()
    assert log.count("\n") == 1, f"noise in the log: {log}"
    assert own_cloud.cli("stop").returncode != 0
    assert "no local cloud is running" in own_cloud.cli("status").stderr


def test_env_speaks_to_the_shell(cloud: LocalCloud) -> None:
    script = cloud.cli("env").stdout + "\nenv"
    shell = subprocess.run(
        ["sh", "-c", script], env=cloud.environment, capture_output=True, text=True, check=True, timeout=30
    )
    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert seen["AWS_ENDPOINT_URL"] == cloud.record.endpoint_url
    assert seen["AWS_SECRET_ACCESS_KEY"] == "test"
    assert "AWS_PROFILE" not in seen


def test_what_is_stored_is_nobody_elses_to_read(own_cloud: LocalCloud) -> None:
    for name in (".", "state", "s3", "batch-stack-tmp"):
        assert (own_cloud.data_dir / name).stat().st_mode & 0o066 == 0, name
    for name in ("server.log", "batch.sqlite", "deliveries.sqlite", "executions.sqlite"):
        assert (own_cloud.data_dir / name).stat().st_mode & 0o077 == 0, name
