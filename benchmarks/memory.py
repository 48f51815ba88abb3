"""Measures the memory of a server with many jobs: of the whole process, and the part that the jobs add.

A tenth of the jobs has ended, the others wait.
"""

import time
from typing import Any

from benchmarks.endpoint import RawClient, client, count, define, server, set_up

JOBS = 100_000
ENDED = 10_000
LIMIT_MIB = 300


def run() -> dict[str, Any]:
    with server() as (process, port):
        batch, raw = client(port), RawClient(port)
        set_up(batch)
        define(batch, "noop", ["/bin/true"])
        define(batch, "holds", ["/bin/sleep", "3600"])
        empty_mib = process.memory_info().rss / 2**20
        submit(raw, "noop", ENDED)
        while count(raw, "SUCCEEDED") < ENDED:
            time.sleep(0.5)
        submit(raw, "holds", JOBS - ENDED)
        full_mib = process.memory_info().rss / 2**20
    ratio = full_mib / LIMIT_MIB
    return {
        "jobs": JOBS,
        "empty_mib": empty_mib,
        "full_mib": full_mib,
        "ratio": ratio,
        "says": f"{JOBS} known jobs in {full_mib:.0f} MiB, {ratio:.2f} of the {LIMIT_MIB} MiB allowed "
        f"(the whole process; {empty_mib:.0f} MiB without a job, mostly for MiniStack)",
    }


def submit(raw: RawClient, definition: str, jobs: int) -> None:
    requests = [{"jobName": f"j{n}", "jobQueue": "q", "jobDefinition": definition} for n in range(jobs)]
    raw.call_all("SubmitJob", requests)
