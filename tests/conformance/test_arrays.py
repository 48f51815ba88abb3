"""Array jobs seen through boto3, with real processes."""

from typing import Any

import pytest

from tests.support import running_endpoint, wait_for

pytestmark = pytest.mark.cloud

SHELL = ["/bin/sh", "-c"]


@pytest.fixture
def queue(endpoint: Any) -> str:
    return str(endpoint.queue("standard", endpoint.environment()))


def test_children_know_their_index_and_the_size(endpoint: Any, queue: str) -> None:
    script = "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ARRAY_INDEX $AWS_BATCH_JOB_ARRAY_SIZE"
    definition = endpoint.definition("indexed", [*SHELL, script])
    parent_id = endpoint.submit(queue, definition, arrayProperties={"size": 4})
    parent = endpoint.wait(parent_id)
    assert parent["status"] == "SUCCEEDED"
    assert parent["arrayProperties"]["size"] == 4
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 4
    for index in range(4):
        child = endpoint.job(f"{parent_id}:{index}")
        assert endpoint.log(child) == [f"{parent_id}:{index} {index} 4"]
        assert child["jobArn"] == f"{parent['jobArn']}:{index}"


def test_failed_children_fail_the_parent_in_the_end(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("odd", [*SHELL, "exit $((AWS_BATCH_JOB_ARRAY_INDEX % 2))"])
    parent_id = endpoint.submit(queue, definition, arrayProperties={"size": 5})
    parent = endpoint.wait(parent_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    pages = endpoint.batch.get_paginator("list_jobs").paginate(
        arrayJobId=parent_id, jobStatus="FAILED", PaginationConfig={"PageSize": 1}
    )
    failed = [job["arrayProperties"]["index"] for page in pages for job in page["jobSummaryList"]]
    assert failed == [1, 3]


def test_one_child_and_then_the_whole_array_are_terminated(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("long", ["/bin/sleep", "60"])
    parent_id = endpoint.submit(queue, definition, arrayProperties={"size": 10_000})
    endpoint.wait(f"{parent_id}:0", "RUNNING")
    endpoint.batch.terminate_job(jobId=f"{parent_id}:0", reason="one")
    assert endpoint.wait(f"{parent_id}:0")["statusReason"] == "one"
    assert endpoint.job(parent_id)["status"] == "PENDING"
    endpoint.batch.terminate_job(jobId=parent_id, reason="all")
    parent = endpoint.wait(parent_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "all")
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 10_000


def test_half_run_array_ends_after_a_restart(tmp_path: Any) -> None:
    flag = tmp_path / "go"
    with running_endpoint(tmp_path / "data", host_vcpus=2) as endpoint:
        queue = endpoint.queue("standard", endpoint.environment())
        script = f"test $AWS_BATCH_JOB_ARRAY_INDEX -lt 2 || test -e {flag} || sleep 60"
        definition = endpoint.definition("resumes", [*SHELL, script], retryStrategy={"attempts": 2})
        parent_id = endpoint.submit(queue, definition, arrayProperties={"size": 6})
        endpoint.wait(f"{parent_id}:1", "SUCCEEDED")
        wait_for(lambda: endpoint.job(f"{parent_id}:3")["status"] == "RUNNING", "child 3 running")
    flag.touch()
    with running_endpoint(tmp_path / "data", host_vcpus=2) as endpoint:
        parent = endpoint.wait(parent_id)
        assert parent["status"] == "SUCCEEDED"
        attempts = [len(endpoint.job(f"{parent_id}:{index}")["attempts"]) for index in range(6)]
        assert attempts[:2] == [1, 1]
        assert attempts[4:] == [1, 1]
        assert 2 in attempts[2:4], "what ran when the engine stopped was lost with its host, and retried"
