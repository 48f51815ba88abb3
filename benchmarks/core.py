"""Measures the cost of a job in the core alone, against SimPy, and the cost while many jobs wait.

SimPy is a usual library for models of a queue. It has neither states nor retries, and each job is one of its
processes; ``core_workload`` has both sides. Nothing is rendered, saved or published. The sides run in turns,
and the ratio of their CPU times is taken for each round, so that other load on the machine affects both.
"""

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.core_workload import (
    REQUEST,
    Core,
    Drive,
    backlog,
    run_arrays,
    run_jobs,
    run_simpy,
    steady,
)

ROUNDS = 3
STEADY_JOBS, BACKLOG_JOBS = 20_000, 100_000
PLAIN_LIMIT, CHILD_LIMIT = 1.3, 0.7
FEW_WAITING, MANY_WAITING = 1_000, 100_000
FEW_SHARES, MANY_SHARES = 1, 500
CYCLES = 4_000


def run() -> dict[str, Any]:
    steadily, at_once = steady(STEADY_JOBS), backlog(BACKLOG_JOBS)
    sides: dict[str, Callable[[], float]] = {
        "simpy_steady": lambda: _us(lambda: run_simpy(steadily), STEADY_JOBS),
        "job_steady": lambda: _us(run_jobs(steadily), STEADY_JOBS),
        "simpy_backlog": lambda: _us(lambda: run_simpy(at_once), BACKLOG_JOBS),
        "job_backlog": lambda: _us(run_jobs(at_once), BACKLOG_JOBS),
        "child_backlog": lambda: _us(run_arrays(at_once), BACKLOG_JOBS),
        "few_waiting": lambda: _cycle_us(FEW_WAITING),
        "many_waiting": lambda: _cycle_us(MANY_WAITING),
        "few_shares": lambda: _cycle_us(FEW_WAITING, FEW_SHARES),
        "many_shares": lambda: _cycle_us(FEW_WAITING, MANY_SHARES),
        "submit": lambda: _us(_submits(Core()), STEADY_JOBS),
        "validation": _validation_us,
    }
    rounds = [{name: measure() for name, measure in sides.items()} for _ in range(ROUNDS)]
    ratios = {
        "job_steady": _ratio(rounds, "job_steady", "simpy_steady"),
        "job_backlog": _ratio(rounds, "job_backlog", "simpy_backlog"),
        "child_backlog": _ratio(rounds, "child_backlog", "simpy_backlog"),
        "waiting": _ratio(rounds, "many_waiting", "few_waiting"),
        "shares": _ratio(rounds, "many_shares", "few_shares"),
    }
    us = {name: median(one[name] for one in rounds) for name in sides}
    return {
        "ratio": ratios["job_backlog"],
        "ratios": ratios,
        "microseconds": us,
        "rounds": rounds,
        "says": _says(us, ratios),
    }


def _says(us: dict[str, float], ratios: dict[str, float]) -> str:
    return "; ".join(
        (
            f"a job costs {ratios['job_steady']:.2f} times SimPy's at 90 % load ({us['job_steady']:.1f} us "
            f"against {us['simpy_steady']:.1f} us)",
            f"{ratios['job_backlog']:.2f} times where {BACKLOG_JOBS} wait ({us['job_backlog']:.1f} us "
            f"against {us['simpy_backlog']:.1f} us; at most {PLAIN_LIMIT})",
            f"an array child {ratios['child_backlog']:.2f} times ({us['child_backlog']:.1f} us; at most "
            f"{CHILD_LIMIT})",
            f"of a submit's {us['submit']:.1f} us, {us['validation']:.1f} us check the request",
            f"a job costs {ratios['waiting']:.2f} times as much behind {MANY_WAITING} jobs as behind "
            f"{FEW_WAITING}, and {ratios['shares']:.2f} times as much with {MANY_SHARES} shares as with "
            f"{FEW_SHARES} (medians of {ROUNDS})",
        )
    )


def _ratio(rounds: list[dict[str, float]], one: str, other: str) -> float:
    return median(measured[one] / measured[other] for measured in rounds)


def _us(work: Callable[[], None], count: int) -> float:
    """Returns the CPU time of the work divided by the count, in microseconds."""
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e6


def _submits(core: Core) -> Callable[[], None]:
    drive = Drive(core, iter([1] * STEADY_JOBS))

    def run() -> None:
        for _ in range(STEADY_JOBS):
            drive.submit(REQUEST, 0)

    return run


def _validation_us() -> float:
    """Measures SubmitJob without the scheduler: the request is checked and becomes a job."""
    core = Core()
    core.scheduler.handle = lambda *_: []  # type: ignore[method-assign]
    return _us(_submits(core), STEADY_JOBS)


def _cycle_us(waiting: int, shares: int | None = None) -> float:
    """Measures the end of a job, the start of the next and a submission, while other jobs wait."""
    requests = [REQUEST]
    policy: dict[str, Any] | None = None
    if shares is not None:
        names = [f"share{number}" for number in range(shares)]
        requests = [{**REQUEST, "shareIdentifier": name} for name in names]
        weights = [{"shareIdentifier": name, "weightFactor": 1 + at / 1000} for at, name in enumerate(names)]
        policy = {"shareDecaySeconds": 3600, "shareDistribution": weights}
    drive = Drive(Core(policy), iter([run_ms for _, run_ms in steady(waiting + 2 * CYCLES)]))
    for number in range(waiting):
        drive.submit(requests[number % len(requests)], 0)

    def cycles() -> None:
        for number in range(CYCLES):
            drive.submit(requests[number % len(requests)], drive.finish_next())

    cycles()  # the first ones fill caches
    return _us(cycles, CYCLES)
