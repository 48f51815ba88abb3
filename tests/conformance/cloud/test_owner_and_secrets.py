"""Whose the cloud is (`--account`, `--region`), what it reads for jobs, and what a running job prints."""

from pathlib import Path

import pytest

from batch_engine.local.aws import secrets
from batch_engine.local.base.ports import ClientError
from batch_engine.local.server.state import OtherOwnerError, Owner, settle_owner
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import finished, runnable_job
from tests.support import wait_for

SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf"


@pytest.mark.parametrize(
    ("value_from", "service", "request_", "json_key"),
    [
        (SECRET, "secretsmanager", {"SecretId": SECRET}, ""),
        (f"{SECRET}:password::", "secretsmanager", {"SecretId": SECRET}, "password"),
        (
            f"{SECRET}::AWSPREVIOUS:",
            "secretsmanager",
            {"SecretId": SECRET, "VersionStage": "AWSPREVIOUS"},
            "",
        ),
        (f"{SECRET}:k::v-1", "secretsmanager", {"SecretId": SECRET, "VersionId": "v-1"}, "k"),
        ("plain", "ssm", {"Name": "plain", "WithDecryption": True}, ""),
        ("/team/key", "ssm", {"Name": "/team/key", "WithDecryption": True}, ""),
        (
            "arn:aws:ssm:us-east-1:000000000000:parameter/team/key",
            "ssm",
            {"Name": "/team/key", "WithDecryption": True},
            "",
        ),
    ],
)
def test_what_value_from_names(
    value_from: str, service: str, request_: dict[str, object], json_key: str
) -> None:
    reference = secrets.parse(value_from)
    assert (reference.service, reference.request, reference.json_key) == (service, request_, json_key)


@pytest.mark.parametrize(
    ("json_key", "text", "value"),
    [("", '{"a": 1}', '{"a": 1}'), ("a", '{"a": "x"}', "x"), ("a", '{"a": {"b": 1}}', '{"b": 1}')],
)
def test_a_json_key_picks_one_member(json_key: str, text: str, value: str) -> None:
    reference = secrets.parse(f"{SECRET}:{json_key}::")
    assert secrets.value(reference, {"SecretString": text}) == value
    assert secrets.value(reference, {"SecretBinary": text.encode()}) == value


@pytest.mark.parametrize(
    ("text", "message"), [("plain", "is not JSON"), ("[1]", "json key a"), ("{}", "json key a")]
)
def test_a_json_key_that_is_not_there_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        secrets.value(secrets.parse(f"{SECRET}:a::"), {"SecretString": text})
    assert message in caught.value.message


def test_a_data_folder_keeps_its_owner(tmp_path: Path) -> None:
    owner = Owner("123456789012", "eu-west-1")
    assert settle_owner(tmp_path, "123456789012", "eu-west-1") == owner
    assert settle_owner(tmp_path, None, None) == owner, "need not be said again"
    with pytest.raises(OtherOwnerError, match="belongs to account 123456789012 in eu-west-1"):
        settle_owner(tmp_path, None, "us-east-1")
    assert settle_owner(tmp_path, None, None) == owner


def test_a_new_data_folder_gets_the_defaults(tmp_path: Path) -> None:
    assert settle_owner(tmp_path, None, None) == Owner("000000000000", "us-east-1")


@pytest.mark.cloud
def test_account_and_region_are_in_every_arn(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "data")
    cloud.start("--account", "123456789012", "--region", "eu-west-1", "--runtime", "process")
    try:
        assert (cloud.record.account, cloud.record.region) == ("123456789012", "eu-west-1")
        job = finished(cloud, runnable_job(cloud, "located", ["true"]))
        assert job["jobArn"].startswith("arn:aws:batch:eu-west-1:123456789012:job/")
        assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
        secret = cloud.client("secretsmanager").create_secret(Name="s", SecretString="x")
        assert secret["ARN"].startswith("arn:aws:secretsmanager:eu-west-1:123456789012:")
    finally:
        cloud.stop()
    other = cloud.cli("start", "--port", "0", "--region", "us-east-1")
    assert other.returncode == 1
    assert "belongs to account 123456789012 in eu-west-1" in other.stderr


@pytest.mark.cloud
def test_a_jobs_secrets_are_in_its_environment(cloud: LocalCloud) -> None:
    secret = cloud.client("secretsmanager").create_secret(
        Name="db", SecretString='{"user": "batch", "password": "p"}'
    )
    cloud.client("ssm").put_parameter(Name="/team/token", Value="t0k3n", Type="SecureString")
    job_id = runnable_job(
        cloud,
        "secretive",
        ["/bin/sh", "-c", 'test "$PASSWORD/$TOKEN" = p/t0k3\'\'n && test -n "$WHOLE"'],
        executionRoleArn="arn:aws:iam::000000000000:role/execution",
        secrets=[
            {"name": "PASSWORD", "valueFrom": f"{secret['ARN']}:password::"},
            {"name": "TOKEN", "valueFrom": "/team/token"},
            {"name": "WHOLE", "valueFrom": secret["ARN"]},
        ],
    )
    job = finished(cloud, job_id)
    assert job["status"] == "SUCCEEDED", job
    assert "t0k3n" not in str(job), "DescribeJobs tells the name only"


@pytest.mark.cloud
def test_log_lines_are_readable_while_the_job_runs(cloud: LocalCloud) -> None:
    script = 'echo early; echo "and more" >&2; sleep 600'
    job_id = runnable_job(cloud, "talkative", ["/bin/sh", "-c", script])
    batch, logs = cloud.client("batch"), cloud.client("logs")

    def stream() -> str | None:
        (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
        running = job["status"] == "RUNNING"
        return job["container"].get("logStreamName") if running else None

    name = wait_for(stream, "the log stream of the running job")

    def lines() -> list[str]:
        try:
            answer = logs.get_log_events(
                logGroupName="/aws/batch/job", logStreamName=name, startFromHead=True
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in answer["events"]]

    wait_for(lambda: sorted(lines()) == ["and more", "early"], "the lines of the running job")
    (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
    assert job["status"] == "RUNNING", "read before its end"
    batch.terminate_job(jobId=job_id, reason="read enough")
    job = finished(cloud, job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "read enough")
