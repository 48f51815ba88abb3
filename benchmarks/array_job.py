"""Measures an array job from SubmitJob to its end, against ``xargs -P`` on the same command."""

import time
from typing import Any

from benchmarks.endpoint import RawClient, define, engine, port_of, wait_until_over
from benchmarks.throughput import COMMAND, xargs_s

CHILDREN = 10_000


def run() -> dict[str, Any]:
    before_s = xargs_s(CHILDREN)
    with engine() as batch:
        define(batch, "noop", [COMMAND])
        client = RawClient(port_of(batch))
        start = time.monotonic()
        array = {"arrayProperties": {"size": CHILDREN}}
        answer = client.call("SubmitJob", jobName="array", jobQueue="q", jobDefinition="noop", **array)
        job = wait_until_over(client, answer["jobId"])
        engine_s = time.monotonic() - start
        summary = job["arrayProperties"]["statusSummary"]
        if summary["SUCCEEDED"] != CHILDREN:
            raise RuntimeError(f"some children did not succeed: {summary}")
    baseline_s = (before_s + xargs_s(CHILDREN)) / 2
    ratio = baseline_s / engine_s
    return {
        "children": CHILDREN,
        "xargs_s": baseline_s,
        "engine_s": engine_s,
        "ratio": ratio,
        "says": f"an array of {CHILDREN} no-op children at {ratio:.2f} of the throughput of xargs "
        f"({engine_s:.1f} s against {baseline_s:.1f} s)",
    }
