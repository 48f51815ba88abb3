"""ListJobs and GetJobQueueSnapshot (reference, sections 1 and 9)."""

from typing import Any

import pytest

from tests.api_world import ApiWorld, sagemaker_queue


@pytest.fixture
def world() -> ApiWorld:
    made = ApiWorld()
    made.environment("ce", max_vcpus=2)
    made.queue("q", "ce")
    made.definition("d")
    made.definition("d2")
    return made


def names(answer: dict[str, Any]) -> list[str]:
    return [job["jobName"] for job in answer["jobSummaryList"]]


def filtered(world: ApiWorld, name: str, *values: str, **request: Any) -> list[str]:
    return names(
        world.ask("ListJobs", jobQueue="q", filters=[{"name": name, "values": list(values)}], **request)
    )


def test_exactly_one_of_queue_array_and_node_group(world: ApiWorld) -> None:
    assert "Exactly one of" in world.refusal("ListJobs")
    assert "Exactly one of" in world.refusal("ListJobs", jobQueue="q", arrayJobId="a")
    assert world.refusal("ListJobs", jobQueue="nowhere") == "JobQueue nowhere not found."


def test_without_a_status_only_running_jobs(world: ApiWorld) -> None:
    for name in ("a", "b", "c"):
        world.submit(name)
    assert names(world.ask("ListJobs", jobQueue="q")) == []
    world.started()
    assert names(world.ask("ListJobs", jobQueue="q")) == ["a", "b"]
    assert names(world.ask("ListJobs", jobQueue="q", jobStatus="RUNNABLE")) == ["c"]
    assert names(world.ask("ListJobs", jobQueue="q", jobStatus="SUCCEEDED")) == []


def test_summaries_have_usage_and_what_the_container_came_to(world: ApiWorld) -> None:
    job_id = world.submit("a")
    world.finished(exit_code=3)
    (summary,) = world.ask("ListJobs", jobQueue="q", jobStatus="FAILED")["jobSummaryList"]
    assert (summary["jobId"], summary["container"]["exitCode"]) == (job_id, 3)
    assert summary["capacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1.0}]
    assert "isTerminated" not in summary


def test_pages_neither_skip_nor_repeat_while_jobs_move(world: ApiWorld) -> None:
    submitted = [world.submit(f"j{number:03}") for number in range(40)]
    page = world.ask("ListJobs", jobQueue="q", jobStatus="RUNNABLE", maxResults=10)
    seen = [job["jobId"] for job in page["jobSummaryList"]]
    gone: list[str] = []
    while "nextToken" in page:
        # Between two pages jobs in front of them, on them and behind them go away, and new ones come.
        world.finished()
        gone += [job for job in submitted[2:] if world.registry.jobs[job].status != "RUNNABLE"]
        world.submit("later")
        page = world.ask(
            "ListJobs", jobQueue="q", jobStatus="RUNNABLE", maxResults=10, nextToken=page["nextToken"]
        )
        seen += [job["jobId"] for job in page["jobSummaryList"]]
    assert len(seen) == len(set(seen)), "a job is shown twice"
    assert set(submitted[2:]) - set(gone) <= set(seen), "a job that waited all the time is missing"
    assert seen == sorted(seen), "oldest first"


def test_a_retried_job_keeps_its_place_in_the_listing(world: ApiWorld) -> None:
    first = world.submit("first", retryStrategy={"attempts": 3})
    for number in range(5):
        world.submit(f"j{number}")
    world.finished(exit_code=1, count=1)
    listed = world.ask("ListJobs", jobQueue="q", jobStatus=world.registry.jobs[first].status.value)
    assert listed["jobSummaryList"][0]["jobId"] == first


def test_page_sizes_1000_and_100_with_a_filter(world: ApiWorld) -> None:
    for number in range(1010):
        world.submit(f"j{number}")
    page = world.ask("ListJobs", jobQueue="q", jobStatus="RUNNABLE")
    assert len(page["jobSummaryList"]) == 1000
    rest = world.ask("ListJobs", jobQueue="q", jobStatus="RUNNABLE", nextToken=page["nextToken"])
    assert len(rest["jobSummaryList"]) == 8
    assert "nextToken" not in rest
    everything = [{"name": "JOB_NAME", "values": ["*"]}]
    assert len(world.ask("ListJobs", jobQueue="q", filters=everything)["jobSummaryList"]) == 100
    assert len(world.ask("ListJobs", jobQueue="q", maxResults=1, jobStatus="RUNNABLE")["jobSummaryList"]) == 1
    assert world.refusal("ListJobs", jobQueue="q", maxResults=0) == "maxResults must be at least 1, got 0"


def test_a_token_that_was_not_handed_out_is_refused(world: ApiWorld) -> None:
    for token in ("x", "1", "bnVsbA==", "WzFd", "9" * 5000, "é"):
        assert "nextToken is not one" in world.refusal("ListJobs", jobQueue="q", nextToken=token)


def test_one_filter_at_a_time_and_its_name_is_case_sensitive(world: ApiWorld) -> None:
    one = {"name": "JOB_NAME", "values": ["a"]}
    assert "Only one filter" in world.refusal("ListJobs", jobQueue="q", filters=[one, one])
    for wrong in ("job_name", "NAME", ""):
        filters = [{"name": wrong, "values": ["a"]}]
        assert "Filter name must be one of" in world.refusal("ListJobs", jobQueue="q", filters=filters)
    assert "must have a value" in world.refusal("ListJobs", jobQueue="q", filters=[{"name": "JOB_NAME"}])


def test_job_name_ignores_case_and_takes_a_trailing_star(world: ApiWorld) -> None:
    for name in ("test1", "Test10", "other", "Test1"):
        world.submit(name)
    assert filtered(world, "JOB_NAME", "TEST1") == ["Test1", "test1"]
    assert filtered(world, "JOB_NAME", "test1*") == ["Test1", "Test10", "test1"]
    assert filtered(world, "JOB_NAME", "*est1") == []


def test_job_name_groups_by_name_newest_first_across_pages(world: ApiWorld) -> None:
    ids = [world.submit(name) for name in ("b", "a", "b", "a", "b")]
    expected = [ids[3], ids[1], ids[4], ids[2], ids[0]]
    filters = [{"name": "JOB_NAME", "values": ["*"]}]
    page = world.ask("ListJobs", jobQueue="q", filters=filters, maxResults=2)
    seen = [job["jobId"] for job in page["jobSummaryList"]]
    while "nextToken" in page:
        world.finished(count=1)
        page = world.ask("ListJobs", jobQueue="q", filters=filters, maxResults=2, nextToken=page["nextToken"])
        seen += [job["jobId"] for job in page["jobSummaryList"]]
    assert seen == expected


def test_a_filter_makes_the_status_ignored(world: ApiWorld) -> None:
    for name in ("a", "b", "c"):
        world.submit(name)
    world.finished(count=1)
    assert filtered(world, "AFTER_CREATED_AT", "0", jobStatus="SUCCEEDED") == ["c", "b", "a"]


def test_job_definition_by_name_by_arn_and_with_a_star_on_names_only(world: ApiWorld) -> None:
    arn = world.definition("d")
    world.submit("one", definition="d:1")
    world.submit("two", definition="d:2")
    world.submit("other", definition="d2")
    assert filtered(world, "JOB_DEFINITION", "d") == ["two", "one"]
    assert filtered(world, "JOB_DEFINITION", "d*") == ["other", "two", "one"]
    assert filtered(world, "JOB_DEFINITION", arn) == ["two"]
    assert filtered(world, "JOB_DEFINITION", arn[:-1] + "*") == []
    assert filtered(world, "JOB_DEFINITION", "D") == []


def test_created_before_and_after_in_epoch_milliseconds(world: ApiWorld) -> None:
    ids = [world.submit(name) for name in ("a", "b", "c")]
    moment = str(world.registry.jobs[ids[1]].created_at_ms)
    assert filtered(world, "BEFORE_CREATED_AT", moment) == ["a"]
    assert filtered(world, "AFTER_CREATED_AT", moment) == ["c"]
    for wrong in ("yesterday", "1.5", "-1", "9" * 30):
        filters = [{"name": "AFTER_CREATED_AT", "values": [wrong]}]
        assert "epoch milliseconds" in world.refusal("ListJobs", jobQueue="q", filters=filters)


def test_share_identifier_and_status_apply_together(world: ApiWorld) -> None:
    policy = world.ask("CreateSchedulingPolicy", name="fair", fairsharePolicy={})["arn"]
    world.queue("fair", "ce", schedulingPolicyArn=policy)
    for share in ("red", "blue", "red"):
        world.submit(share, queue="fair", shareIdentifier=share)
    filters = [{"name": "SHARE_IDENTIFIER", "values": ["red"]}]
    assert names(world.ask("ListJobs", jobQueue="fair", filters=filters)) == ["red", "red"]
    world.finished()
    for status in ("SUCCEEDED", "STARTING", "RUNNABLE"):
        listed = world.ask("ListJobs", jobQueue="fair", filters=filters, jobStatus=status)
        assert {job["status"] for job in listed["jobSummaryList"]} <= {status}
    assert names(world.ask("ListJobs", jobQueue="fair", filters=filters)) == ["red", "red"]


def test_snapshot_of_a_fifo_queue(world: ApiWorld) -> None:
    ids = [world.submit(f"j{number}") for number in range(105)]
    snapshot = world.ask("GetJobQueueSnapshot", jobQueue="q")
    front = snapshot["frontOfQueue"]["jobs"]
    assert [job["jobArn"].rpartition("/")[2] for job in front] == ids[2:102], "the first 100, oldest first"
    usage = snapshot["queueUtilization"]["totalCapacityUsage"]
    assert usage == [{"capacityUnit": "VCPU", "quantity": 2.0}]
    assert "fairshareUtilization" not in snapshot["queueUtilization"]
    by_arn = world.ask("GetJobQueueSnapshot", jobQueue="arn:aws:batch:eu-central-1:123456789012:job-queue/q")
    assert by_arn["frontOfQueue"]["jobs"] == front


def test_snapshot_says_since_when_a_job_has_its_place(world: ApiWorld) -> None:
    ids = [world.submit(f"j{number}") for number in range(6)]
    moved_at_ms = world.now_ms

    def since() -> dict[str, int]:
        front = world.ask("GetJobQueueSnapshot", jobQueue="q")["frontOfQueue"]["jobs"]
        return {job["jobArn"].rpartition("/")[2]: job["earliestTimeAtPosition"] for job in front}

    assert since()[ids[2]] < moved_at_ms
    world.ask("CancelJob", jobId=ids[4], reason="in the middle")
    assert since()[ids[3]] < moved_at_ms, "who stands in front of a cancelled job has not moved"
    assert since()[ids[5]] >= moved_at_ms, "who stands behind it has"
    world.finished(count=1)
    assert since()[ids[3]] >= moved_at_ms


def test_snapshot_of_a_fair_share_queue(world: ApiWorld) -> None:
    policy = world.ask("CreateSchedulingPolicy", name="fair", fairsharePolicy={})["arn"]
    world.queue("fair", "ce", schedulingPolicyArn=policy)
    for share in ("red", "blue", "red"):
        world.submit(share, queue="fair", shareIdentifier=share)
    use = world.ask("GetJobQueueSnapshot", jobQueue="fair")["queueUtilization"]["fairshareUtilization"]
    assert use["activeShareCount"] == 2
    assert [entry["shareIdentifier"] for entry in use["topCapacityUtilization"]] == ["blue", "red"]
    assert use["topCapacityUtilization"][0]["capacityUsage"] == [{"capacityUnit": "VCPU", "quantity": 1.0}]


def test_snapshot_of_a_queue_of_service_jobs(world: ApiWorld) -> None:
    queue = sagemaker_queue(world)
    world.ask(
        "CreateQuotaShare",
        quotaShareName="team",
        jobQueue=queue,
        capacityLimits=[{"maxCapacity": 1, "capacityUnit": "ml.m5.large"}],
        resourceSharingConfiguration={"strategy": "RESERVE"},
        preemptionConfiguration={"inSharePreemption": "DISABLED"},
    )
    snapshot = world.ask("GetJobQueueSnapshot", jobQueue=queue)
    assert snapshot["frontOfQueue"]["jobs"] == []
    assert snapshot["frontOfQuotaShares"]["quotaShares"] == {"team": []}
    assert snapshot["queueUtilization"]["quotaShareUtilization"] == {"topCapacityUtilization": []}


def test_snapshot_of_an_unknown_queue(world: ApiWorld) -> None:
    assert world.refusal("GetJobQueueSnapshot", jobQueue="nowhere") == "JobQueue nowhere not found."
