"""Findings of the checks before deployment, as a user of CDK sees them."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.triggers import TriggerSettings

pytestmark = pytest.mark.stack

RULE = {"action": "exit", "on_exit_code": "7"}
JOB = {"image": "public.ecr.aws/docker/library/busybox:1"}


def _warnings(stack: Any) -> list[str]:
    return [text for texts in _by_construct(stack).values() for text in texts]


def _by_construct(stack: Any) -> dict[str, list[str]]:
    """Returns the warnings by the paths of the constructs that have them."""
    assertions = import_module("aws_cdk.assertions")
    found: dict[str, list[str]] = {}
    for one in assertions.Annotations.from_stack(stack).find_warning("*", assertions.Match.any_value()):
        found.setdefault(one.id, []).append(str(one.entry.data))
    return found


def _platform(new_app: Callable[[], Any], cdk: Any, content: dict[str, Any]) -> Any:
    stack = cdk.Stack(new_app(), "Mine")
    settings = parse_settings(content, source="batch.yaml")
    batch_stack.BatchPlatform(stack, "Batch", settings=settings, containers_dir=Path("none"))
    return stack


def test_what_cannot_work_ends_synthesis_with_all_of_it(new_app: Callable[[], Any], cdk: Any) -> None:
    jobs = {"a": {**JOB, "gpus": 1}, "b": {**JOB, "memory_mib": 9_999_999}}
    with pytest.raises(SettingsError) as raised:
        _platform(new_app, cdk, {"jobs": jobs})
    first, *rest = str(raised.value).splitlines()
    assert first == "2 settings cannot work at Mine/Batch"
    assert [line.split(" must be ")[0] for line in rest] == ["  jobs.a.gpus", "  jobs.b.memory_mib"]
    assert rest[1].endswith("got 9999999")


def test_a_single_error_is_one_line(new_app: Callable[[], Any], cdk: Any) -> None:
    with pytest.raises(SettingsError, match=r"^jobs\.a\.gpus must be 0 to fit .*, got 1 at Mine/Batch$"):
        _platform(new_app, cdk, {"jobs": {"a": {**JOB, "gpus": 1}}})


def test_what_may_not_be_meant_is_an_annotation_each(new_app: Callable[[], Any], cdk: Any) -> None:
    triggers = {name: {"job": "a", "prefix": f"/{name}"} for name in ("x", "y")}
    job = {**JOB, "command": ["run", "Ref::input"]}
    stack = _platform(new_app, cdk, {"jobs": {"a": job}, "triggers": triggers})
    texts = _warnings(stack)
    assert len(texts) == 2
    assert all("should not begin with a slash" in text for text in texts)
    assert "[ack: batch-stack:prefix:triggers.x.prefix]" in texts[0]


def test_an_id_to_acknowledge_has_no_bracket_that_would_end_it(new_app: Callable[[], Any], cdk: Any) -> None:
    compute = {"c": {"type": "on_demand", "instance_types": ["c5", "zz9"]}}
    tiers = {"t": {"priority": 1, "compute": ["c"]}}
    stack = _platform(new_app, cdk, {"compute": compute, "tiers": tiers, "jobs": {"a": JOB}})
    (text,) = _warnings(stack)
    assert "[ack: batch-stack:unknownInstanceType:compute.c.instance_types.1]" in text


def test_a_platform_without_jobs_is_warned_of_unless_python_adds_one(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    empty = _platform(new_app, cdk, {})
    (text,) = _warnings(empty)
    assert "jobs is empty" in text

    filled = _platform(new_app, cdk, {})
    filled.node.find_child("Batch").add_job("a", JobSettings(**JOB))
    assert _warnings(filled) == []


def test_a_service_that_no_job_uses_is_warned_of_unless_python_adds_one(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    content = {"jobs": {"a": JOB}, "results": {"job_table": True}, "messaging": {"work_queue": True}}
    stack = _platform(new_app, cdk, content)
    platform = stack.node.find_child("Batch")
    platform.add_job("b", JobSettings(**JOB, uses=["job_table"]))
    platform.add_job("c", JobSettings(**JOB))
    (text,) = _warnings(stack)
    assert text.startswith("batch.yaml: messaging.work_queue has no job that may use it: name work_queue in ")
    assert "[ack: batch-stack:unusedService:messaging.work_queue]" in text


def test_an_array_is_warned_of_unless_python_adds_what_submits_it(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    stack = _platform(new_app, cdk, {"jobs": {"a": JOB}})
    platform = stack.node.find_child("Batch")
    for name in ("b", "c"):
        platform.add_job(name, JobSettings(**JOB, array_size=9, command=["run", "Ref::input"]))
    platform.add_trigger("x", TriggerSettings(job="b"))
    (text,) = _warnings(stack)
    assert text.startswith("batch.yaml: jobs.c.array_size has no effect, because no trigger and no schedule")
    assert "[ack: batch-stack:arraySize:jobs.c.array_size]" in text


def test_a_warning_is_with_the_construct_that_its_setting_became(
    new_app: Callable[[], Any], cdk: Any
) -> None:
    content = {
        "network": {"mode": "isolated", "endpoints": []},
        "compute": {"c": {"type": "spot", "instance_types": ["m6i.large", "c6i.large"]}},
        "tiers": {"low-cost": {"priority": 1, "compute": ["c"], "retry": {"attempts": 1, "rules": [RULE]}}},
        "messaging": {"event_bus": True, "work_queue": True},
        "jobs": {"my_job": {"ecr_repository": "team/tool", "timeout_s": 600, "uses": ["event_bus"]}},
        "triggers": {"x": {"job": "my_job", "tier": "low-cost"}},
    }
    found = _by_construct(_platform(new_app, cdk, content))
    checks = {path: [text.partition("[ack: ")[2] for text in texts] for path, texts in found.items()}
    assert checks == {
        "/Mine/Batch": ["batch-stack:unusedService:messaging.work_queue]"],
        "/Mine/Batch/Network": ["batch-stack:missingEndpoint:network.endpoints]"],
        "/Mine/Batch/CCompute": ["batch-stack:fewSpotTypes:compute.c.instance_types]"],
        "/Mine/Batch/LowCostTier": ["batch-stack:retryRule:tiers.low-cost.retry.rules]"],
        "/Mine/Batch/MyJobJob": ["batch-stack:spotRetry:jobs.my_job]"],
        "/Mine/Batch/XTrigger": ["batch-stack:triggerInput:triggers.x.job]"],
    }


@pytest.mark.parametrize("owner", ["", "Batch", "Batch/AJob"])
def test_a_warning_is_acknowledged_at_its_construct_or_above(
    new_app: Callable[[], Any], cdk: Any, owner: str
) -> None:
    stack = _platform(new_app, cdk, {"jobs": {"a": {**JOB, "array_size": 9}}})
    scope = stack
    for part in filter(None, owner.split("/")):
        scope = scope.node.find_child(part)
    cdk.Annotations.of(scope).acknowledge_warning("batch-stack:arraySize:jobs.a.array_size")
    assert _warnings(stack) == []


def test_settings_acknowledge_a_warning_that_addition_brought(new_app: Callable[[], Any], cdk: Any) -> None:
    known = "batch-stack:arraySize:jobs.b.array_size"
    stack = _platform(new_app, cdk, {"jobs": {"a": JOB}, "acknowledge": [known]})
    platform = stack.node.find_child("Batch")
    for name in ("b", "c"):
        platform.add_job(name, JobSettings(**JOB, array_size=9))
    (text,) = _warnings(stack)
    assert text.startswith("batch.yaml: jobs.c.array_size ")
