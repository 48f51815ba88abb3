"""Jobs from SubmitJob to their end, seen through boto3."""

import signal
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.cloud

SHELL = ["/bin/sh", "-c"]


@pytest.fixture
def queue(endpoint: Any) -> str:
    return str(endpoint.queue("standard", endpoint.environment()))


def test_job_that_succeeds(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("hello", [*SHELL, "echo out; echo err >&2; pwd"])
    job = endpoint.wait(endpoint.submit(queue, definition))
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert len(job["attempts"]) == 1
    assert job["container"]["logStreamName"].startswith("hello/default/")
    out, err, folder = endpoint.log(job)
    assert (out, err) == ("out", "err")
    assert job["jobId"] in folder


@pytest.mark.parametrize("code", [1, 2, 65, 75])
def test_exit_code_is_reported(endpoint: Any, queue: str, code: int) -> None:
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("exits", [*SHELL, f"exit {code}"])))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", code)
    assert job["statusReason"] == "Essential container in task exited"


def test_worker_killed_by_a_signal(endpoint: Any, queue: str) -> None:
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("dies", [*SHELL, "kill -SEGV $$"])))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 128 + signal.SIGSEGV)


def test_command_that_does_not_exist(endpoint: Any, queue: str) -> None:
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("absent", ["no-such-program"])))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith('CannotStartContainerError: exec: "no-such-program"')
    assert "exitCode" not in job["container"]


def test_retries_until_the_last_attempt(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("again", [*SHELL, "exit 75"], retryStrategy={"attempts": 3})
    job = endpoint.wait(endpoint.submit(queue, definition))
    assert job["status"] == "FAILED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [75, 75, 75]


def test_retry_rules_tell_exit_codes_apart(endpoint: Any, queue: str) -> None:
    rules = [{"onExitCode": "75", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    transient = endpoint.definition("transient", [*SHELL, "exit 75"], retryStrategy=strategy)
    bad_input = endpoint.definition("bad-input", [*SHELL, "exit 65"], retryStrategy=strategy)
    assert len(endpoint.wait(endpoint.submit(queue, transient))["attempts"]) == 3
    assert len(endpoint.wait(endpoint.submit(queue, bad_input))["attempts"]) == 1


def test_second_attempt_can_succeed(endpoint: Any, queue: str) -> None:
    command = [*SHELL, "test $AWS_BATCH_JOB_ATTEMPT = 2"]
    job_id = endpoint.submit(queue, endpoint.definition("second", command), retryStrategy={"attempts": 2})
    job = endpoint.wait(job_id)
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 0]


def test_parameters_and_overrides(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition(
        "renders",
        ["/usr/bin/env", "printf", "%s\\n", "Ref::greeting", "Ref::name", "--x=Ref::name", "Ref::unknown"],
        parameters={"greeting": "hello", "name": "nobody"},
    )
    job = endpoint.wait(
        endpoint.submit(
            queue,
            definition,
            parameters={"name": "a b+ü Ref::greeting"},
            containerOverrides={"environment": [{"name": "COLOUR", "value": "blue"}]},
            timeout={"attemptDurationSeconds": 90},
        )
    )
    assert endpoint.log(job) == ["hello", "a b+ü Ref::greeting", "--x=a b+ü Ref::greeting", "Ref::unknown"]
    assert {"name": "COLOUR", "value": "blue"} in job["container"]["environment"]
    assert job["timeout"] == {"attemptDurationSeconds": 90}


def test_environment_of_a_job(endpoint: Any, queue: str) -> None:
    job = endpoint.wait(endpoint.submit(queue, endpoint.definition("env", ["/usr/bin/env"])))
    variables = dict(line.split("=", 1) for line in endpoint.log(job))
    assert variables["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert variables["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert variables["AWS_BATCH_CE_NAME"] == "ce"
    assert variables["AWS_BATCH_JQ_NAME"] == "standard"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_ECS_EC2"
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert "AWS_REGION" not in variables, "AWS Batch sets no Region on EC2"
    assert "VIRTUAL_ENV" not in variables, "the server's own environment must not leak"


def test_terminate_a_running_job(endpoint: Any, queue: str) -> None:
    trap = "trap 'echo stopping; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    job_id = endpoint.submit(
        queue, endpoint.definition("long", [*SHELL, trap]), retryStrategy={"attempts": 3}
    )
    endpoint.wait(job_id, "RUNNING")
    endpoint.batch.terminate_job(jobId=job_id, reason="enough")
    job = endpoint.wait(job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "enough", True)
    assert len(job["attempts"]) == 1, "a terminated job is never retried"
    endpoint.batch.terminate_job(jobId=job_id, reason="again")
    assert endpoint.job(job_id)["statusReason"] == "enough"


def test_cancel_waits_for_nobody_and_spares_the_running(endpoint: Any) -> None:
    queue = endpoint.queue("narrow", endpoint.environment("small", max_vcpus=1))
    definition = endpoint.definition("sleeper", ["/bin/sleep", "60"])
    running, waiting = endpoint.submit(queue, definition), endpoint.submit(queue, definition)
    endpoint.wait(running, "RUNNING")
    for job_id in (running, waiting):
        endpoint.batch.cancel_job(jobId=job_id, reason="not needed")
    job = endpoint.wait(waiting)
    assert (job["status"], job["statusReason"], job["isCancelled"]) == ("FAILED", "not needed", True)
    assert "startedAt" not in job
    assert endpoint.job(running)["status"] == "RUNNING"
    endpoint.batch.terminate_job(jobId=running, reason="done")
    endpoint.wait(running)


def test_waiting_job_says_why(endpoint: Any) -> None:
    queue = endpoint.queue("narrow", endpoint.environment("small", max_vcpus=1))
    definition = endpoint.definition("sleeper", ["/bin/sleep", "60"])
    first, second = endpoint.submit(queue, definition), endpoint.submit(queue, definition)
    job = endpoint.job(second)
    assert job["status"] == "RUNNABLE"
    assert "small has instances of 1 vCPUs, its maxvCpus are 1" in job["statusReason"]
    endpoint.batch.terminate_job(jobId=first, reason="make room")
    endpoint.wait(second, "RUNNING")
    endpoint.batch.terminate_job(jobId=second, reason="done")
    endpoint.wait(second)


def test_job_above_its_memory_is_killed(endpoint: Any, queue: str) -> None:
    hog = "import time\nblock = bytearray(200 * 2**20)\ntime.sleep(60)"
    requirements = [{"type": "MEMORY", "value": "64"}]
    definition = endpoint.definition("hog", ["python3", "-c", hog])
    job_id = endpoint.submit(queue, definition, containerOverrides={"resourceRequirements": requirements})
    job = endpoint.wait(job_id)
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_children_of_a_job_die_with_it(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("parent", [*SHELL, "sleep 300 & echo $!"])
    job = endpoint.wait(endpoint.submit(queue, definition))
    (child,) = endpoint.log(job)

    assert not is_alive(int(child))


def test_list_jobs_by_status(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("lists", ["/bin/true"])
    finished = {endpoint.submit(queue, definition, jobName=f"job-{number}") for number in range(5)}
    for job_id in finished:
        endpoint.wait(job_id)
    pages = endpoint.batch.get_paginator("list_jobs").paginate(
        jobQueue=queue, jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 2}
    )
    listed = [page["jobSummaryList"] for page in pages]
    assert [len(page) for page in listed] == [2, 2, 1]
    assert {job["jobId"] for page in listed for job in page} == finished
    assert endpoint.batch.list_jobs(jobQueue="standard")["jobSummaryList"] == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"jobQueue": "nowhere"}, "JobQueue nowhere not found."),
        (
            {"jobDefinition": "nothing"},
            "JobDefinition name nothing does not exist or is not in ACTIVE status",
        ),
        ({"jobName": "-bad name"}, "Job name should match valid pattern"),
        ({"timeout": {"attemptDurationSeconds": 10}}, "attemptDurationSeconds must be at least 60, got 10"),
        ({"retryStrategy": {"attempts": 11}}, "RetryAttempts must be between 1 and 10, got 11"),
        ({"dependsOn": [{"jobId": "x"}]}, "job x does not exist"),
    ],
)
def test_submit_rejections(endpoint: Any, queue: str, request_: dict[str, Any], message: str) -> None:
    endpoint.definition("fine", ["/bin/true"])
    request = {"jobName": "job", "jobQueue": queue, "jobDefinition": "fine", **request_}
    with pytest.raises(ClientError, match="ClientException") as caught:
        endpoint.batch.submit_job(**request)
    assert message in str(caught.value)


def test_describe_leaves_unknown_jobs_out(endpoint: Any) -> None:
    assert endpoint.batch.describe_jobs(jobs=["11111111-2222-3333-4444-555555555555"])["jobs"] == []
    with pytest.raises(ClientError, match="Maximum number of jobs supported is 100"):
        endpoint.batch.describe_jobs(jobs=[str(number) for number in range(101)])


def test_secrets_that_cannot_be_read_keep_a_job_from_starting(endpoint: Any, queue: str) -> None:
    secrets = [{"name": "TOKEN", "valueFrom": "/absent"}]
    container = {"secrets": secrets, "executionRoleArn": "arn:aws:iam::000000000000:role/r"}
    definition = endpoint.definition("secret", ["/bin/true"], container=container)
    job = endpoint.wait(endpoint.submit(queue, definition))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("ResourceInitializationError: unable to pull secrets")


def test_terminate_right_after_submit_leaves_nothing_running(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("brief", ["/bin/sleep", "300"])
    job_ids = [endpoint.submit(queue, definition) for _ in range(4)]
    for job_id in job_ids:
        endpoint.batch.terminate_job(jobId=job_id, reason="at once")
    assert {endpoint.wait(job_id)["statusReason"] for job_id in job_ids} == {"at once"}


def test_last_lines_are_there_when_the_job_is_over(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition(
        "talks", [*SHELL, "i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done"]
    )
    for job_id in [endpoint.submit(queue, definition) for _ in range(5)]:
        assert endpoint.log(endpoint.wait(job_id)) == [str(number) for number in range(500)]
