"""What a SubmitJob costs when many jobs wait already, against the same call when none does."""

import time
from statistics import median
from typing import Any

from benchmarks.endpoint import define, engine

WAITING = 10_000
SAMPLE = 300


def run() -> dict[str, Any]:
    with engine() as batch:
        define(batch, "holds", ["/bin/sleep", "3600"])
        empty_s = _median_submit_s(batch)
        for number in range(WAITING - SAMPLE):
            batch.submit_job(jobName=f"w{number}", jobQueue="q", jobDefinition="holds")
        full_s = _median_submit_s(batch)
    ratio = full_s / empty_s
    return {
        "waiting": WAITING,
        "empty_ms": empty_s * 1000,
        "full_ms": full_s * 1000,
        "ratio": ratio,
        "says": f"a submit behind {WAITING} waiting jobs takes {ratio:.2f} times one behind none "
        f"({full_s * 1000:.2f} ms against {empty_s * 1000:.2f} ms)",
    }


def _median_submit_s(batch: Any) -> float:
    times = []
    for number in range(SAMPLE):
        start = time.perf_counter()
        batch.submit_job(jobName=f"s{number}", jobQueue="q", jobDefinition="holds")
        times.append(time.perf_counter() - start)
    return median(times)
