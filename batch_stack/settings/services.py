"""The data services of a platform. A job may use those that its `uses` names."""

from __future__ import annotations

from typing import Literal

DataService = Literal[
    "input_bucket", "output_bucket", "scratch_bucket", "job_table", "database", "event_bus", "work_queue"
]
"""A service of the platform that stores data or sends it to others."""

SETTING_OF: dict[DataService, str] = {
    "scratch_bucket": "storage.scratch_expiry_days",
    "job_table": "results.job_table",
    "database": "results.database",
    "event_bus": "messaging.event_bus",
    "work_queue": "messaging.work_queue",
}
"""The settings that add services. Every platform has the buckets for input and output."""
