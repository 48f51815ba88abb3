"""Compares two schedulers, field by field, with everything that they hold."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from batch_engine.core.model.instance_types import Catalogue
from batch_engine.core.scheduling.scheduler import Scheduler
from batch_engine.core.state.log import EventLog, LoggedIds, Record
from batch_engine.core.state.registry import Registry

# Both of what is not state, and of what one of them may have saved or looked at more often than the other.
NOT_STATE = (Catalogue, EventLog, LoggedIds, Record)
CACHES: dict[str, set[str]] = {
    "Registry": {"changed"},
    "Journal": {"record", "_actions", "_render"},
    "Scheduler": {"refusal"},
    "Setup": {"forgotten"},
    "Retention": {"_forgotten"},
    "ArrayRun": {"_ranges"},
    "_Shelf": {"serials", "unsorted"},
    "_Queue": {"idle"},
    "Shares": {"_rankings", "_groups", "_retried"},
}
SCALARS = (str, int, float, bytes, bytearray, bool, type(None), Enum, type)


def differences(one: Scheduler, other: Scheduler) -> list[str]:
    """Where two schedulers differ, in words."""
    for scheduler in (one, other):
        for queue in scheduler.registry.job_queues:  # shares that time has made inactive
            scheduler.dispatcher.shares.active(queue, one._journal.now_ms)
    return list(_compare(one, other, "scheduler", set()))


def _compare(one: Any, other: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    if one is other or (id(one), id(other)) in seen:
        return
    seen.add((id(one), id(other)))
    if type(one) is not type(other):
        yield f"{path}: {one!r} is not {other!r}"
    elif isinstance(one, NOT_STATE) or callable(one):
        return
    elif isinstance(one, SCALARS):
        if one != other:
            yield f"{path}: {one!r} is not {other!r}"
    elif hasattr(one, "__iter__"):
        yield from _compare_collections(one, other, path, seen)
    else:
        for name in _members(one):
            left, right = getattr(one, name, None), getattr(other, name, None)
            yield from _compare(left, right, f"{path}.{name}", seen)


def _compare_collections(one: Any, other: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    if isinstance(one, Mapping):
        yield from _compare_mappings(one, other, path, seen)
    elif isinstance(one, set | frozenset):
        if one != other:
            yield f"{path}: {one ^ other} is in one of them only"
    else:
        mine, its = list(one), list(other)
        if len(mine) != len(its):
            yield f"{path}: {len(mine)} items are not {len(its)}: {mine} {its}"
        for place, (left, right) in enumerate(zip(mine, its, strict=False)):
            yield from _compare(left, right, f"{path}[{place}]", seen)


def _members(item: Any) -> set[str]:
    names = {field.name for field in fields(item)} if is_dataclass(item) else set()
    for kind in type(item).__mro__:
        names |= set(getattr(kind, "__slots__", ()))
    names |= set(getattr(item, "__dict__", {}))
    return names - CACHES.get(type(item).__name__, set())


def _compare_mappings(one: Any, other: Any, path: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    # Whoever looks at something that is not there may leave an empty entry behind.
    for key in sorted(one.keys() | other.keys(), key=str):
        if key in one and key in other:
            yield from _compare(one[key], other[key], f"{path}[{key!r}]", seen)
        elif not _is_empty(one.get(key, other.get(key))):
            yield f"{path}[{key!r}] is in one of them only: {one.get(key)!r} {other.get(key)!r}"


def _is_empty(item: Any) -> bool:
    if isinstance(item, SCALARS):
        return not item
    if isinstance(item, Mapping):
        return all(map(_is_empty, item.values()))
    if hasattr(item, "__len__"):
        return len(item) == 0
    return all(_is_empty(getattr(item, name)) for name in _members(item))


def resources_of(registry: Registry) -> dict[str, Any]:
    """Everything in a registry that an operator has made, without what the engine counts by itself."""
    kinds = (
        "compute_environments",
        "job_queues",
        "scheduling_policies",
        "service_environments",
        "quota_shares",
    )
    found: dict[str, Any] = {kind: deepcopy(getattr(registry, kind)) for kind in kinds}
    for environment in found["compute_environments"].values():
        environment.resources = {**environment.resources, "desiredvCpus": None}
    found["consumable_resources"] = {
        name: (item.type, item.tags) for name, item in registry.consumable_resources.items()
    }
    found["job_definitions"] = {name: dict(item) for name, item in registry.job_definitions.items() if item}
    return found
