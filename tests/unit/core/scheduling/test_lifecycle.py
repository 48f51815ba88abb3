"""The life of a job: times, names, attempts and reasons, one test a rule."""

import re

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost, Woken
from batch_engine.core.model.jobs import JobStatus
from batch_engine.core.model.log_destination import log_destination, log_stream

S = JobStatus
ARN = "arn:aws:batch:eu-central-1:123456789012:"
FARGATE = {
    "image": "i",
    "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
    "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
}


@pytest.fixture
def queue(world):
    world.definition()
    return world.queue("q", world.environment("ce"))


def start(world, job):
    world.tell(AttemptStarted(job.id, job.attempt.number))


def finish(world, job, exit_code=0, reason=None, status_reason="Essential container in task exited"):
    world.tell(AttemptFinished(job.id, job.attempt.number, exit_code, reason, status_reason))


def detail(world, job):
    (found,) = world.call("DescribeJobs", jobs=[job.id])["jobs"]
    return found


def fargate_job(world, kind="FARGATE_SPOT", **request):
    queue = world.queue("fargate", world.environment("fargate", kind=kind))
    world.definition("f", platformCapabilities=["FARGATE"], containerProperties=FARGATE)
    return world.submit(queue, "f", **request)


def test_the_seven_states():
    named = "SUBMITTED PENDING RUNNABLE STARTING RUNNING SUCCEEDED FAILED"
    assert " ".join(JobStatus) == named


def test_times_are_epoch_milliseconds_of_the_moves(world, queue):
    submitted_at = world.now_ms
    job = world.submit(queue, retryStrategy={"attempts": 2})
    assert {"startedAt", "stoppedAt"}.isdisjoint(detail(world, job))
    first_start = world.now_ms
    start(world, job)
    first_stop = world.now_ms
    finish(world, job, 1)
    assert "stoppedAt" not in detail(world, job), "only the attempt is over"
    second_start = world.now_ms
    start(world, job)
    second_stop = world.now_ms
    finish(world, job)
    shown = detail(world, job)
    assert shown["createdAt"] == submitted_at
    assert (shown["startedAt"], shown["stoppedAt"]) == (second_start, second_stop), "of the latest attempt"
    assert [(attempt["startedAt"], attempt["stoppedAt"]) for attempt in shown["attempts"]] == [
        (first_start, first_stop),
        (second_start, second_stop),
    ]


def test_ids_and_arns(world, queue):
    job = world.submit(queue)
    shown = detail(world, job)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", job.id)
    assert shown["jobArn"] == f"{ARN}job/{job.id}"
    assert shown["jobDefinition"] == f"{ARN}job-definition/d:1"
    assert shown["jobQueue"] == f"{ARN}job-queue/q"
    policy = world.call("CreateSchedulingPolicy", name="p", fairsharePolicy={})
    assert policy["arn"] == f"{ARN}scheduling-policy/p"


def test_task_arn_from_starting_and_log_stream_from_running(world, queue):
    job = world.submit(queue)
    shown = detail(world, job)["container"]
    assert shown["taskArn"].startswith("arn:aws:ecs:eu-central-1:123456789012:task/ce_Batch_")
    assert "/container-instance/ce_Batch_" in shown["containerInstanceArn"].replace(":", "/")
    assert "logStreamName" not in shown
    start(world, job)
    task_id = shown["taskArn"].rpartition("/")[2]
    assert detail(world, job)["container"]["logStreamName"] == f"d/default/{task_id}"


def test_attempts_say_how_they_ended(world, queue):
    job = world.submit(queue, retryStrategy={"attempts": 2})
    start(world, job)
    assert detail(world, job)["attempts"] == [], "an attempt is listed once it is over"
    finish(world, job, 137, "OutOfMemoryError: Container killed due to memory usage")
    start(world, job)
    finish(world, job)
    first, second = detail(world, job)["attempts"]
    assert first["statusReason"] == "Essential container in task exited"
    assert first["container"]["exitCode"] == 137
    assert first["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert second["container"]["exitCode"] == 0
    assert first["container"]["taskArn"] != second["container"]["taskArn"]
    for member in ("containerInstanceArn", "logStreamName"):
        assert first["container"][member]


def test_flags_are_set_while_the_job_winds_down(world, queue):
    job = world.submit(queue)
    start(world, job)
    assert {"isCancelled", "isTerminated"}.isdisjoint(detail(world, job))
    world.call("TerminateJob", jobId=job.id, reason="enough")
    shown = detail(world, job)
    assert (shown["status"], shown["isTerminated"]) == ("RUNNING", True)


def test_lost_fargate_host(world):
    job = fargate_job(world)
    start(world, job)
    world.tell(HostLost(job.id, 1))
    assert job.status_reason == "Your Spot Task was interrupted."
    assert job.attempts[0].exit_code is None


def test_a_failed_start_is_an_attempt(world, queue):
    job = world.submit(queue, retryStrategy={"attempts": 2})
    pull = "CannotPullContainerError: no such image"
    for _ in range(2):
        assert job.status is S.STARTING, "the pull happens here"
        finish(world, job, None, pull, "Task failed to start")
    assert (job.status, job.status_reason) == (S.FAILED, "Task failed to start")
    assert [attempt["container"]["reason"] for attempt in detail(world, job)["attempts"]] == [pull, pull]
    assert job.started_at_ms is None


def test_the_strategy_of_submit_job_replaces_the_whole_one(world, queue):
    rules = [{"onReason": "*", "action": "EXIT"}]
    world.definition("strict", retryStrategy={"attempts": 5, "evaluateOnExit": rules})
    job = world.submit(queue, "strict", retryStrategy={"attempts": 2})
    assert detail(world, job)["retryStrategy"] == {"attempts": 2, "evaluateOnExit": []}
    start(world, job)
    finish(world, job, 1)
    assert job.status is S.STARTING, "the rules of the definition are gone"


@pytest.mark.parametrize("code", [0, 1])
def test_exit_code_zero_is_success_under_any_rules(world, queue, code):
    rules = [{"onExitCode": "*", "action": "RETRY"}]
    job = world.submit(queue, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    start(world, job)
    finish(world, job, code)
    assert job.status is (S.SUCCEEDED if code == 0 else S.STARTING)


def test_a_terminated_job_is_not_retried(world, queue):
    job = world.submit(queue, retryStrategy={"attempts": 5})
    start(world, job)
    world.call("TerminateJob", jobId=job.id, reason="enough")
    finish(world, job, 143)
    assert (job.status, len(job.attempts)) == (S.FAILED, 1)


def test_no_timeout_by_default_and_the_submitted_one_wins(world, queue):
    assert "timeout" not in detail(world, world.submit(queue))
    world.definition("limited", timeout={"attemptDurationSeconds": 60})
    assert detail(world, world.submit(queue, "limited"))["timeout"] == {"attemptDurationSeconds": 60}
    job = world.submit(queue, "limited", timeout={"attemptDurationSeconds": 90})
    assert detail(world, job)["timeout"] == {"attemptDurationSeconds": 90}


@pytest.mark.parametrize("seconds", [59, 0, -1])
def test_a_timeout_is_a_minute_at_least(world, queue, seconds):
    with pytest.raises(ClientError, match=f"at least 60, got {seconds}"):
        world.submit(queue, timeout={"attemptDurationSeconds": seconds})
    assert world.submit(queue, timeout={"attemptDurationSeconds": 10**9}).timeout_s == 10**9


def test_placeholders_are_replaced_in_the_command_only(world, queue):
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    world.definition(
        "renders",
        parameters={"x": "default", "y": "kept"},
        containerProperties={
            "image": "Ref::x",
            "command": ["Ref::x", "Ref::y"],
            "environment": [{"name": "A", "value": "Ref::x"}],
            "user": "ref",
            "resourceRequirements": requirements,
        },
    )
    job = world.submit(queue, "renders", parameters={"x": "given"})
    assert job.container["command"] == ["given", "kept"]
    assert job.container["image"] == "Ref::x"
    assert job.container["environment"] == [{"name": "A", "value": "Ref::x"}]
    other = world.submit(queue, "renders", containerOverrides={"command": ["--in=Ref::x"]})
    assert other.container["command"] == ["--in=default"]


def test_log_stream_names(world, queue):
    name = "n" * 128
    world.definition(name)
    plain = world.submit(queue, name)
    start(world, plain)
    assert re.fullmatch(rf"{name}/default/[0-9a-f]{{32}}", log_stream(plain, plain.attempt))
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-stream-prefix": "p"}},
    }
    world.definition("prefixed", containerProperties=container)
    prefixed = world.submit(queue, "prefixed")
    start(world, prefixed)
    assert re.fullmatch(r"p/default/[0-9a-f]{32}", log_stream(prefixed, prefixed.attempt))


def test_fargate_jobs_go_to_fargate_environments_only(world, queue):
    job = fargate_job(world, "FARGATE")
    assert job.attempt.compute_environment == "fargate"
    assert job.attempt.container_instance_arn is None
    with pytest.raises(
        ClientError, match="needs FARGATE, but the compute environments of JobQueue q are EC2"
    ):
        world.submit(queue, "f")
    with pytest.raises(ClientError, match="needs EC2, but the compute environments of JobQueue fargate"):
        world.submit("fargate", "d")


def test_a_definition_may_be_named_in_four_ways(world, queue):
    world.definition()
    world.call("DeregisterJobDefinition", jobDefinition="d:2")
    world.definition()
    arn = f"{ARN}job-definition/d"
    for reference, revision in (("d", 3), ("d:1", 1), (arn, 3), (f"{arn}:1", 1)):
        assert world.submit(queue, reference).definition_arn == f"{arn}:{revision}"
    world.call("DeregisterJobDefinition", jobDefinition="d:3")
    assert world.submit(queue, "d").definition_arn == f"{arn}:1", "the latest ACTIVE one"
    for gone in ("d:2", "d:3", "d:4", "e", f"{arn}:3"):
        with pytest.raises(ClientError, match="does not exist or is not in ACTIVE status"):
            world.submit(queue, gone)


def test_submitting_twice_makes_two_jobs(world, queue):
    request = {"jobName": "n", "jobQueue": queue, "jobDefinition": "d"}
    first, second = world.call("SubmitJob", **request), world.call("SubmitJob", **request)
    assert first["jobId"] != second["jobId"]
    assert set(first) == {"jobArn", "jobName", "jobId"}


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a.b", "ä", "x" * 129])
def test_job_names(world, queue, name):
    with pytest.raises(ClientError, match="Job name should match valid pattern"):
        world.call("SubmitJob", jobName=name, jobQueue=queue, jobDefinition="d")
    assert world.call("SubmitJob", jobName="9" + "x_-" * 42, jobQueue=queue, jobDefinition="d")


def test_cancel_and_terminate_return_an_empty_answer_in_any_case(world, queue):
    job = world.submit(queue)
    start(world, job)
    finish(world, job)
    for operation in ("CancelJob", "TerminateJob"):
        for job_id in (job.id, "11111111-2222-4333-8444-555555555555"):
            assert world.call(operation, jobId=job_id, reason="late") == {}
    assert (job.status, job.is_cancelled, job.is_terminated) == (S.SUCCEEDED, False, False)


def test_one_attempt_where_no_strategy_is_given(world, queue):
    job = world.submit(queue)
    assert detail(world, job)["retryStrategy"] == {"attempts": 1, "evaluateOnExit": []}
    start(world, job)
    finish(world, job, 1)
    assert (job.status, len(job.attempts)) == (S.FAILED, 1)


def test_summaries_say_what_they_should(world, queue):
    job = world.submit(queue)
    start(world, job)
    world.call("TerminateJob", jobId=job.id, reason="enough")
    (summary,) = world.call("ListJobs", jobQueue="q", jobStatus="RUNNING")["jobSummaryList"]
    assert summary["isTerminated"] is True
    assert "isCancelled" not in summary
    finish(world, job, 143, "a reason")
    (summary,) = world.call("ListJobs", jobQueue="q", jobStatus="FAILED")["jobSummaryList"]
    assert summary["container"] == {"exitCode": 143, "reason": "a reason"}
    assert (summary["jobArn"], summary["jobName"], summary["statusReason"]) == (job.arn, "j", "enough")
    assert summary["jobDefinition"] == job.definition_arn
    assert summary["capacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1}]
    assert summary["createdAt"] < summary["startedAt"] < summary["stoppedAt"]


def test_a_job_that_can_never_start_is_not_retried(world, queue):
    overrides = {"environment": [{"name": "X", "value": "x" * 9000}]}
    job = world.submit(queue, retryStrategy={"attempts": 5}, containerOverrides=overrides)
    assert (job.status, job.attempts) == (S.FAILED, [])


def test_tags_are_propagated_if_asked_and_the_jobs_win(world, queue):
    assert detail(world, world.submit(queue))["propagateTags"] is False
    tags = {f"t{number}": "definition" for number in range(50)}
    world.definition("tagged", tags=tags, propagateTags=True)
    job = world.submit(queue, "tagged", tags={"t0": "job"})
    assert job.status is S.STARTING, "one key in both is one tag"
    assert detail(world, job)["propagateTags"] is True
    assert detail(world, world.submit(queue, "tagged", propagateTags=False))["propagateTags"] is False


def test_only_awslogs_has_a_stream(world, queue):
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        "logConfiguration": {"logDriver": "json-file"},
    }
    world.definition("silent", containerProperties=container)
    silent, plain = world.submit(queue, "silent"), world.submit(queue)
    for job in (silent, plain):
        start(world, job)
    assert log_stream(silent, silent.attempt) is None
    assert log_stream(plain, plain.attempt) is not None
    container["logConfiguration"] = {"logDriver": "logentries2"}
    with pytest.raises(ClientError, match="logDriver must be one of json-file, syslog, journald"):
        world.definition("unknown", containerProperties=container)


def test_a_single_node_has_no_instance_type_of_its_own(world, queue):
    with pytest.raises(ClientError, match="instanceType is not applicable to single-node jobs"):
        world.submit(queue, containerOverrides={"instanceType": "m6g.large"})


@pytest.mark.parametrize(("options", "group"), [({}, "/aws/batch/job"), ({"awslogs-group": "mine"}, "mine")])
def test_log_groups(world, queue, options, group):
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }
    world.definition("logs", containerProperties=container)
    job = world.submit(queue, "logs")
    start(world, job)
    destination = log_destination(job)
    assert (destination.group, destination.stream) == (group, log_stream(job, job.attempt))


def test_fargate_runs_on_the_latest_platform_and_without_a_public_address_by_default(world):
    container = detail(world, fargate_job(world))["container"]
    assert container["fargatePlatformConfiguration"] == {"platformVersion": "LATEST"}
    assert container["networkConfiguration"] == {"assignPublicIp": "DISABLED"}
    given = {
        "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
        "networkConfiguration": {"assignPublicIp": "ENABLED"},
    }
    world.definition("own", platformCapabilities=["FARGATE"], containerProperties=FARGATE | given)
    container = detail(world, world.submit("fargate", "own"))["container"]
    assert {member: container[member] for member in given} == given


def test_an_inactive_revision_is_gone_after_180_days(world):
    arn = world.definition("old")
    world.definition("old", vcpus=2)
    world.call("DeregisterJobDefinition", jobDefinition=arn)
    day_ms = 24 * 3600 * 1000
    world.now_ms += 180 * day_ms - 1000

    def revisions():
        listed = world.call("DescribeJobDefinitions", jobDefinitionName="old")["jobDefinitions"]
        return [item["revision"] for item in listed]

    assert revisions() == [2, 1]
    world.now_ms += 1000
    world.tell(Woken())
    assert revisions() == [2]
    assert world.call("DescribeJobDefinitions", jobDefinitions=[arn])["jobDefinitions"] == []
