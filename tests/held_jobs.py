"""Jobs that run until they are told to end, and what must stay true of them while a stack is edited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import wait_for

# Ends when it is let go; before the attempt that may succeed, with the exit code that asks for another one.
_HELD = """
until [ -e "$GATES/$AWS_BATCH_JOB_ID.$AWS_BATCH_JOB_ATTEMPT" ] || [ -e "$GATES/all" ]; do sleep 0.5; done
[ "$AWS_BATCH_JOB_ATTEMPT" -ge "$SUCCEEDS_AT" ] || exit 75
"""
_WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")
_LONG_S = 120.0


@dataclass
class HeldJobs:
    """What a test has submitted.

    Args:
        batch: a boto3 client.
        gates: a folder; a job ends when its file is there.
    """

    batch: Any
    gates: Path
    ids: list[str] = field(default_factory=list)

    def submit(
        self, queue: str, definition: str, *, succeeds_at: int = 1, mib: int = 128, **request: Any
    ) -> str:
        """Submit a job, or an array of them; returns its id."""
        environment = {"GATES": str(self.gates), "SUCCEEDS_AT": str(succeeds_at)}
        overrides = {
            "command": ["sh", "-c", _HELD],
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "resourceRequirements": [{"type": "MEMORY", "value": str(mib)}],
        }
        submitted = self.batch.submit_job(
            jobName="held",
            jobQueue=queue,
            jobDefinition=definition,
            containerOverrides=overrides,
            **request,
        )
        self.ids.append(submitted["jobId"])
        return str(submitted["jobId"])

    def let_go(self, job: dict[str, Any]) -> None:
        """Let the present attempt of a job end."""
        self._gate(job).touch()

    def _gate(self, job: dict[str, Any]) -> Path:
        return self.gates / f"{job['jobId']}.{len(job['attempts']) + 1}"

    def let_all_go(self) -> None:
        (self.gates / "all").touch()

    def described(self) -> dict[str, dict[str, Any]]:
        """Every job, and the children of arrays in their places; by their ids."""
        found = {job["jobId"]: job for job in self._describe(self.ids)}
        assert found.keys() == set(self.ids), "a job is not known any more"
        children = [
            f"{job_id}:{index}"
            for job_id, job in found.items()
            for index in range(job.get("arrayProperties", {}).get("size", 0))
        ]
        return found | {job["jobId"]: job for job in self._describe(children)}

    def _describe(self, ids: list[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(ids), 100):
            yield from self.batch.describe_jobs(jobs=ids[start : start + 100])["jobs"]

    def running(self) -> dict[str, dict[str, Any]]:
        """Those that have a process of their own, which has not been let go; by their ids."""
        return {
            job_id: job
            for job_id, job in self.described().items()
            if job["status"] == "RUNNING" and not _is_array(job) and not self._gate(job).exists()
        }

    def waiting(self, *statuses: str) -> set[str]:
        """Those that have not started yet, by default in any of the statuses before."""
        wanted = statuses or _WAITING
        return {
            job_id
            for job_id, job in self.described().items()
            if job["status"] in wanted and not _is_array(job)
        }

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a job is in one of some statuses."""
        wait_for(
            lambda: self.described()[job_id]["status"] in statuses, f"job {job_id} in {statuses}", _LONG_S
        )
        return self.described()[job_id]

    def complaints(self) -> list[str]:
        """What has happened to jobs that nobody asked for."""
        found = []
        for job_id, job in self.described().items():
            if job["status"] == "FAILED":
                found.append(f"{job_id} FAILED: {job.get('statusReason')}")
            found += [
                f"{job_id} lost an attempt: {attempt.get('statusReason')}"
                for attempt in job["attempts"]
                if attempt["container"].get("exitCode") not in (0, 75)
            ]
        return found


def _is_array(job: dict[str, Any]) -> bool:
    return "size" in job.get("arrayProperties", {})
