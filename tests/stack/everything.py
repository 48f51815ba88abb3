"""Settings with everything on that keeps data, tells others, or watches costs."""

from typing import Any

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "compute": {
        "spot": {"type": "spot"},
        "on_demand": {"type": "on_demand"},
        "fargate": {"type": "fargate"},
    },
    "tiers": {
        "low": {
            "priority": 1,
            "compute": ["spot"],
            "budget": {
                "usd_per_month": 500,
                "notify_percent": [50, 100, 150],
                "on_exceeded": "disable_queue",
            },
        },
        "high": {"priority": 2, "compute": ["on_demand"], "budget": {"usd_per_month": 99.5}},
        "quick": {"priority": 3, "compute": ["fargate"]},
    },
    "jobs": {
        "work": {
            "image": "public.ecr.aws/docker/library/busybox:1",
            "volumes": {"shared": {"type": "efs", "path": "/shared", "access_point": "shared"}},
            "uses": [
                "input_bucket",
                "output_bucket",
                "scratch_bucket",
                "job_table",
                "database",
                "event_bus",
                "work_queue",
            ],
        },
        "small": {"image": "public.ecr.aws/docker/library/busybox:1", "platform": "fargate"},
    },
    "storage": {
        "kms": True,
        "access_logs": True,
        "scratch_expiry_days": 3,
        "file_system": {
            "access_points": {
                "shared": {"path": "/shared", "uid": 1001, "gid": 1002, "permissions": "0770"},
                "reference": {"path": "/reference"},
            }
        },
    },
    "results": {"job_table": True, "database": {"name": "outcomes", "max_acu": 4, "backup_days": 9}},
    "messaging": {"event_bus": True, "work_queue": True},
    "log_retention_days": 14,
}
