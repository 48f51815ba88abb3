"""Measures the share of a core that an idle server and its child processes use."""

import time
from typing import Any

import psutil

from benchmarks.endpoint import server

SETTLE_S = 5.0
MEASURED_S = 20.0
LIMIT = 0.01


def run() -> dict[str, Any]:
    with server() as (process, _):
        time.sleep(SETTLE_S)
        start_s, begin = cpu_s(process), time.monotonic()
        time.sleep(MEASURED_S)
        share = (cpu_s(process) - start_s) / (time.monotonic() - begin)
    return {
        "share": share,
        "ratio": share / LIMIT,
        "says": f"an idle server takes {share:.2%} of a core ({MEASURED_S:.0f} s; {LIMIT:.0%} allowed)",
    }


def cpu_s(process: psutil.Process) -> float:
    """Returns the processor time of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))
