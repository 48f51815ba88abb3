"""Measures SubmitJob while many jobs wait, against the same call while none waits."""

import time
from statistics import median
from typing import Any

from benchmarks.endpoint import RawClient, define, engine, port_of

WAITING = 10_000
SAMPLE = 300


def run() -> dict[str, Any]:
    with engine() as batch:
        define(batch, "holds", ["/bin/sleep", "3600"])
        client = RawClient(port_of(batch))
        empty_s = _median_submit_s(client)
        client.call_all("SubmitJob", [_request(f"w{number}") for number in range(WAITING - SAMPLE)])
        full_s = _median_submit_s(client)
    ratio = full_s / empty_s
    return {
        "waiting": WAITING,
        "empty_ms": empty_s * 1000,
        "full_ms": full_s * 1000,
        "ratio": ratio,
        "says": f"a submit behind {WAITING} waiting jobs takes {ratio:.2f} times as long as behind none "
        f"({full_s * 1000:.2f} ms against {empty_s * 1000:.2f} ms)",
    }


def _request(name: str) -> dict[str, str]:
    return {"jobName": name, "jobQueue": "q", "jobDefinition": "holds"}


def _median_submit_s(client: RawClient) -> float:
    times = []

    def submit(number: int) -> None:
        start = time.perf_counter()
        client.call_all("SubmitJob", [_request(f"s{number}")], connections=1)
        times.append(time.perf_counter() - start)

    for number in range(SAMPLE):
        submit(number)
    return median(times)
