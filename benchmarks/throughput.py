"""No-op jobs from SubmitJob to SUCCEEDED, against ``xargs -P`` on the same command."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.endpoint import count, define, engine

JOBS = 2000
COMMAND = "/bin/true"
SUBMITTERS = 4


def run() -> dict[str, Any]:
    baseline_s = _xargs()
    with engine() as batch:
        define(batch, "noop", [COMMAND])

        def submit(number: int) -> None:
            batch.submit_job(jobName=f"j{number}", jobQueue="q", jobDefinition="noop")

        start = time.monotonic()
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            list(pool.map(submit, range(JOBS)))
        submitted_s = time.monotonic() - start
        while count(batch, "SUCCEEDED") < JOBS:
            if count(batch, "FAILED"):
                raise RuntimeError("a no-op job failed")
            time.sleep(0.1)
        engine_s = time.monotonic() - start
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


def _xargs() -> float:
    numbers = "".join(f"{number}\n" for number in range(JOBS))
    start = time.monotonic()
    subprocess.run(["xargs", f"-P{os.cpu_count()}", "-n1", COMMAND], input=numbers, text=True, check=True)
    return time.monotonic() - start
