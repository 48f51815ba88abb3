"""Dependencies seen through boto3, with real processes."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.cloud

SHELL = ["/bin/sh", "-c"]


@pytest.fixture
def queue(endpoint: Any) -> str:
    return str(endpoint.queue("standard", endpoint.environment()))


def test_jobs_run_one_after_the_other(endpoint: Any, queue: str, tmp_path: Any) -> None:
    trace = tmp_path / "trace"
    definition = endpoint.definition("appends", [*SHELL, f"echo $0 >> {trace}", "Ref::name"])
    other = endpoint.queue("other", "ce", priority=9)
    first = endpoint.submit(queue, definition, parameters={"name": "first"})
    second = endpoint.submit(other, definition, parameters={"name": "second"}, dependsOn=[{"jobId": first}])
    third = endpoint.submit(
        queue, definition, parameters={"name": "third"}, dependsOn=[{"jobId": second}, {"jobId": first}]
    )
    assert endpoint.wait(third)["status"] == "SUCCEEDED"
    assert trace.read_text().split() == ["first", "second", "third"]
    assert endpoint.job(third)["dependsOn"] == [{"jobId": second}, {"jobId": first}]


def test_failure_is_passed_on(endpoint: Any, queue: str) -> None:
    bad, good = endpoint.definition("bad", [*SHELL, "exit 3"]), endpoint.definition("good", ["/bin/true"])
    first = endpoint.submit(queue, bad)
    second = endpoint.submit(queue, good, dependsOn=[{"jobId": first}])
    third = endpoint.submit(queue, good, dependsOn=[{"jobId": second}])
    for job_id in (second, third):
        job = endpoint.wait(job_id)
        assert (job["status"], job["statusReason"]) == ("FAILED", "Dependent Job failed")
        assert job["attempts"] == []


def test_sequential_array_runs_in_order(endpoint: Any, queue: str, tmp_path: Any) -> None:
    trace = tmp_path / "trace"
    definition = endpoint.definition("in-order", [*SHELL, f"echo $AWS_BATCH_JOB_ARRAY_INDEX >> {trace}"])
    parent = endpoint.submit(
        queue, definition, arrayProperties={"size": 5}, dependsOn=[{"type": "SEQUENTIAL"}]
    )
    assert endpoint.wait(parent)["status"] == "SUCCEEDED"
    assert trace.read_text().split() == ["0", "1", "2", "3", "4"]


def test_n_to_n_hands_each_result_on(endpoint: Any, queue: str, tmp_path: Any) -> None:
    write = endpoint.definition("writes", [*SHELL, f"echo x > {tmp_path}/$AWS_BATCH_JOB_ARRAY_INDEX"])
    read = endpoint.definition("reads", [*SHELL, f"cat {tmp_path}/$AWS_BATCH_JOB_ARRAY_INDEX"])
    first = endpoint.submit(queue, write, arrayProperties={"size": 4})
    depends_on = [{"jobId": first, "type": "N_TO_N"}]
    second = endpoint.submit(queue, read, arrayProperties={"size": 4}, dependsOn=depends_on)
    assert endpoint.wait(second)["status"] == "SUCCEEDED"


def test_unknown_dependency_is_refused(endpoint: Any, queue: str) -> None:
    definition = endpoint.definition("fine", ["/bin/true"])
    with pytest.raises(ClientError, match="job nobody does not exist"):
        endpoint.submit(queue, definition, dependsOn=[{"jobId": "nobody"}])
