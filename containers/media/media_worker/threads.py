"""How many threads a codec may use."""

from __future__ import annotations

import os

MAX_THREADS = 2


def thread_count() -> int:
    """MEDIA_WORKER_THREADS if set, else the CPUs this process may use, but no more than 2.

    A container sees every CPU of its host while its job has paid for a few.
    """
    if chosen := os.environ.get("MEDIA_WORKER_THREADS"):
        return max(1, int(chosen))
    return min(MAX_THREADS, len(os.sched_getaffinity(0)))
