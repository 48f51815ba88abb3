"""`batch-stack local logs` prints what a job wrote."""

from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.support import wait_for

pytestmark = pytest.mark.cloud

CONTAINER: dict[str, Any] = {
    "image": "i",
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
}


@pytest.fixture(scope="module")
def batch(cloud: LocalCloud) -> Any:
    return with_a_queue(cloud)


def with_a_queue(cloud: LocalCloud) -> Any:
    client = cloud.client("batch")
    client.create_compute_environment(
        computeEnvironmentName="logs",
        type="MANAGED",
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": 8,
            "instanceTypes": ["optimal"],
            "instanceRole": "role",
            "subnets": ["s"],
        },
    )
    order = [{"order": 1, "computeEnvironment": "logs"}]
    client.create_job_queue(jobQueueName="logs", priority=1, computeEnvironmentOrder=order)
    return client


def ended(batch: Any, name: str, *, script: str, container: dict[str, Any] | None = None, **job: Any) -> str:
    """Runs a job to its end and returns its id."""
    properties = {**CONTAINER, "command": ["sh", "-c", script], **(container or {})}
    batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=properties)
    job_id = str(batch.submit_job(jobName=name, jobQueue="logs", jobDefinition=name, **job)["jobId"])

    def has_ended() -> bool:
        return batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"] in ("SUCCEEDED", "FAILED")

    wait_for(has_ended, f"the end of {name}")
    return job_id


def test_the_lines_of_all_attempts_in_order(cloud: LocalCloud, batch: Any) -> None:
    script = "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit 1"
    job_id = ended(batch, "fails", script=script, retryStrategy={"attempts": 2})

    wait_for(
        lambda: cloud.cli("logs", job_id).stdout == "attempt 1\nattempt 2\n", "the lines of both attempts"
    )
    headings = cloud.cli("logs", job_id).stderr.splitlines()
    assert [heading.split(":")[0] for heading in headings] == ["--- 1 of 2", "--- 2 of 2"]


def test_more_lines_than_a_page_holds_from_a_group_of_the_jobs_own(cloud: LocalCloud, batch: Any) -> None:
    log = {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/own/group"}}}
    job_id = ended(batch, "long", script="seq 12000", container=log)
    lines = "".join(f"{number}\n" for number in range(1, 12_001))

    wait_for(lambda: cloud.cli("logs", job_id).stdout == lines, "all 12,000 lines")
    assert cloud.cli("logs", job_id).stderr == ""


def test_a_child_has_output_and_its_array_has_none(cloud: LocalCloud, batch: Any) -> None:
    array_id = ended(batch, "array", script="echo $AWS_BATCH_JOB_ARRAY_INDEX", arrayProperties={"size": 2})

    wait_for(lambda: cloud.cli("logs", f"{array_id}:1").stdout == "1\n", "the line of the second child")
    refused = cloud.cli("logs", array_id)
    assert refused.returncode == 1
    assert f"no output of job {array_id} itself, name a child such as {array_id}:0" in refused.stderr


def test_an_unknown_job_is_an_error(cloud: LocalCloud, batch: Any) -> None:
    refused = cloud.cli("logs", "11111111-2222-3333-4444-555555555555")

    assert refused.returncode == 1
    assert "Error: no job 11111111-2222-3333-4444-555555555555" in refused.stderr


def test_a_server_without_cloudwatch_logs_has_the_lines_in_files(own_cloud: LocalCloud) -> None:
    own_cloud.stop()
    own_cloud.start("--batch-only")
    batch = with_a_queue(own_cloud)
    loud, silent = ended(batch, "loud", script="echo one; echo two"), ended(batch, "silent", script="true")

    wait_for(lambda: own_cloud.cli("logs", loud).stdout == "one\ntwo\n", "the lines of the file")
    nothing = own_cloud.cli("logs", silent)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "")
