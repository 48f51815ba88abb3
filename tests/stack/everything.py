"""Settings that have it all: what keeps data, tells others or watches costs, and every kind of compute."""

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

EVERY_KIND: dict[str, Any] = {
    "name": "kinds",
    "network": {"mode": "isolated", "flow_logs": True},
    "compute": {
        "gpu": {"type": "spot", "instance_types": ["g5", "g6"]},
        "nvme": {
            "type": "spot",
            "instance_types": ["c6id", "m6id", "r6id", "c5d", "m5d"],
            "nvme_scratch": True,
        },
        "fabric": {
            "type": "on_demand",
            "instance_types": ["c6in.32xlarge"],
            "placement_group": True,
            "efa": True,
            "max_vcpus": 512,
        },
        "tasks": {"type": "fargate"},
        "spare_tasks": {"type": "fargate_spot"},
        "managed": {"type": "managed_instances", "instance_types": ["c6i", "m6i"]},
        "managed_spot": {"type": "managed_instances", "instance_types": ["c6i", "m6i"], "spot": True},
        "own": {"type": "unmanaged"},
        "theirs": {
            "type": "existing",
            "arn": "arn:aws:batch:eu-west-1:111122223333:compute-environment/them",
        },
    },
    "tiers": {
        "gpu": {"priority": 1, "compute": ["gpu"]},
        "shared": {"priority": 2, "compute": ["nvme"], "fair_share": {"shares": {"team": 1, "guest*": 3}}},
        "nodes": {"priority": 3, "compute": ["fabric"]},
        "tasks": {"priority": 4, "compute": ["spare_tasks", "tasks"]},
        "managed": {"priority": 5, "compute": ["managed_spot", "managed"]},
        "elsewhere": {"priority": 6, "compute": ["own", "theirs"]},
    },
    "consumable_resources": {"licences": {"total": 5}},
    "jobs": {
        "train": {"ecr_repository": "team/train", "gpus": 1, "tiers": ["gpu"]},
        "solve": {
            "ecr_repository": "team/solve",
            "nodes": {"count": 4},
            "tiers": ["nodes"],
            "consumable_resources": {"licences": 1},
        },
        "task": {"ecr_repository": "team/task", "platform": "fargate", "ephemeral_storage_gib": 50},
        "managed": {
            "ecr_repository": "team/managed",
            "platform": "managed_instances",
            "secrets": {"PASSWORD": {"secret": "team/db"}, "TOKEN": {"parameter": "/team/token"}},
        },
        "share": {
            "ecr_repository": "team/share",
            "tiers": ["shared"],
            "array_size": 10,
            "volumes": {
                "files": {
                    "type": "efs",
                    "path": "/files",
                    "file_system_id": "fs-0123456789abcdef0",
                    "access_point": "fsap-0123456789abcdef0",
                },
                "objects": {
                    "type": "s3_files",
                    "path": "/objects",
                    "file_system_arn": "arn:aws:s3files:eu-west-1:111122223333:file-system/fs-012345",
                },
            },
        },
        "elsewhere": {"ecr_repository": "team/elsewhere", "tiers": ["elsewhere"]},
    },
    "triggers": {"shared": {"job": "share", "tier": "shared", "share": "team"}},
    "schedules": {
        "nightly": {"expression": "cron(0 3 * * ? *)", "job": "share", "tier": "shared", "share": "team"}
    },
    "submitters": {"team": {"shares": ["team", "guest*"], "tags": {"team": "video"}}},
}
