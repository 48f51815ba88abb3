"""The number of threads for codecs."""

from __future__ import annotations

import os

MAX_THREADS = 2


def thread_count() -> int:
    """Returns MEDIA_WORKER_THREADS if set, else the number of CPUs this process may use, at most 2.

    A container sees all CPUs of its host, but its job may use only a few.
    """
    if chosen := os.environ.get("MEDIA_WORKER_THREADS"):
        return max(1, int(chosen))
    return min(MAX_THREADS, len(os.sched_getaffinity(0)))
