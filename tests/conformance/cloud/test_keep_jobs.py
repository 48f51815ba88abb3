"""Ended jobs leave the local cloud after the time that `--keep-jobs` names."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.support import wait_for

pytestmark = pytest.mark.cloud


def rows(data_dir: Path) -> int:
    with contextlib.closing(sqlite3.connect(data_dir / "batch.sqlite")) as connection:
        return int(connection.execute("SELECT count(*) FROM job_state").fetchone()[0])


def test_ended_jobs_leave_memory_and_the_state_file(own_cloud: LocalCloud) -> None:
    own_cloud.stop()
    own_cloud.start("--keep-jobs", "2s")
    batch = own_cloud.client("batch")
    resources = {"type": "FARGATE", "maxvCpus": 4, "subnets": ["s"], "securityGroupIds": ["g"]}
    batch.create_compute_environment(computeEnvironmentName="ce", type="MANAGED", computeResources=resources)
    order = [{"order": 1, "computeEnvironment": "ce"}]
    batch.create_job_queue(jobQueueName="q", priority=1, computeEnvironmentOrder=order)
    container = {
        "image": "i",
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
        "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
    }
    for name, command in (("ends", ["/bin/true"]), ("stays", ["/bin/sleep", "600"])):
        batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            platformCapabilities=["FARGATE"],
            containerProperties={**container, "command": command},
        )
    stays = batch.submit_job(jobName="stays", jobQueue="q", jobDefinition="stays")["jobId"]
    array = {"arrayProperties": {"size": 2}}
    ends = batch.submit_job(jobName="ends", jobQueue="q", jobDefinition="ends", **array)["jobId"]

    def known() -> set[str]:
        return {job["jobId"] for job in batch.describe_jobs(jobs=[stays, ends, f"{ends}:0"])["jobs"]}

    assert known() == {stays, ends, f"{ends}:0"}
    wait_for(lambda: known() == {stays}, "the array being forgotten")
    wait_for(lambda: rows(own_cloud.data_dir) == 1, "one row being left in the state file")
    batch.terminate_job(jobId=stays, reason="the test is over")
