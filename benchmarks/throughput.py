"""Measures no-op jobs from SubmitJob to SUCCEEDED, against ``xargs -P`` on the same command."""

import os
import subprocess
import time
from typing import Any

from benchmarks.endpoint import RawClient, count, define, engine, port_of, wait_until_over

JOBS = 2000
COMMAND = "/bin/true"


def run() -> dict[str, Any]:
    before_s = xargs_s(JOBS)
    with engine() as batch:
        define(batch, "noop", [COMMAND])
        client = RawClient(port_of(batch))
        start = time.monotonic()
        requests = [{"jobName": f"j{n}", "jobQueue": "q", "jobDefinition": "noop"} for n in range(JOBS)]
        last = client.call_all("SubmitJob", requests)[-1]["jobId"]
        submitted_s = time.monotonic() - start
        # The queue is first in, first out, so all jobs end soon after the last one.
        wait_until_over(client, last)
        while count(client, "SUCCEEDED") < JOBS:
            if count(client, "FAILED"):
                raise RuntimeError("a no-op job failed")
        engine_s = time.monotonic() - start
    # Other load on the machine varies, so xargs runs once before and once after.
    baseline_s = (before_s + xargs_s(JOBS)) / 2
    ratio = baseline_s / engine_s
    return {
        "jobs": JOBS,
        "xargs_s": baseline_s,
        "engine_s": engine_s,
        "submit_s": submitted_s,
        "ratio": ratio,
        "says": f"{JOBS} no-op jobs at {ratio:.2f} of the throughput of xargs -P{os.cpu_count()} "
        f"({engine_s:.1f} s against {baseline_s:.1f} s)",
    }


def xargs_s(jobs: int) -> float:
    """Returns the time of ``xargs`` for as many processes, one per core at a time."""
    numbers = "".join(f"{number}\n" for number in range(jobs))
    start = time.monotonic()
    subprocess.run(["xargs", f"-P{os.cpu_count()}", "-n1", COMMAND], input=numbers, text=True, check=True)
    return time.monotonic() - start
