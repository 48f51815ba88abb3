"""Puts our CloudFormation resource types into MiniStack's table, and adds to two types of its own."""

from collections.abc import Callable, Iterable

from batch_engine.local.cloudformation.change_sets import with_named_attributes
from batch_engine.local.cloudformation.databases import CLUSTER, ClusterSecrets
from batch_engine.local.cloudformation.resource import Resource, ResourceError, ResourceHandler
from batch_engine.local.delivery.requests import Target
from batch_engine.local.ministack.internals import Made, MiniStack, Properties, TableEntry

RULE = "AWS::Events::Rule"


def mount_resource_types(ministack: MiniStack, types: Iterable[str], handler: ResourceHandler) -> None:
    """Lets a handler of ours carry out resource types.

    Args:
        ministack: the adapter.
        types: CloudFormation's names for them.
        handler: carries them out, on a thread of its own: the handlers wait.
    """
    for resource_type in types:
        ministack.resource_handlers[resource_type] = _entry(resource_type, handler)
    _run_on_worker_threads(ministack, types)


def mount_cluster_secrets(ministack: MiniStack, secrets: ClusterSecrets) -> None:
    """Gives database clusters with ``ManageMasterUserPassword`` a secret that lives as long as they do.

    Args:
        ministack: the adapter.
        secrets: creates and deletes the secrets.
    """
    entry = ministack.resource_handlers[CLUSTER]

    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        physical_id, attributes = entry["create"](logical_id, properties, stack)
        return physical_id, {**attributes, **secrets.attributes(physical_id, properties)}

    def update(physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Made:
        updated_id, attributes = entry["update"](physical_id, old, new, stack, logical_id)
        return updated_id, {**attributes, **secrets.attributes(updated_id, new)}

    def delete(physical_id: str, properties: Properties) -> None:
        entry["delete"](physical_id, properties)
        secrets.delete(physical_id)

    ministack.resource_handlers[CLUSTER] = {**entry, "create": create, "update": update, "delete": delete}
    _run_on_worker_threads(ministack, [CLUSTER])


def check_targets_of_rules(ministack: MiniStack, refusal: Callable[[Target], str | None]) -> None:
    """Checks the targets of rules in stacks, since MiniStack accepts them unchecked.

    Args:
        ministack: the adapter.
        refusal: returns the reason why EventBridge refuses a target, or None.
    """
    entry = ministack.resource_handlers[RULE]

    def create(logical_id: str, properties: Properties, stack: str) -> Made:
        check(properties)
        return entry["create"](logical_id, properties, stack)

    def update(physical_id: str, old: Properties, new: Properties, *rest: str) -> Made:
        check(new)
        return entry["update"](physical_id, old, new, *rest)

    def check(properties: Properties) -> None:
        for target in properties.get("Targets") or []:
            if (reason := refusal(target)) is not None:
                raise ResourceError(
                    f'Resource handler returned message: "{reason}" '
                    "(Service: EventBridge, Operation: PutTargets, Status Code: 400)"
                )

    ministack.resource_handlers[RULE] = {**entry, "create": create, "update": update}


def mount_comparison(ministack: MiniStack) -> None:
    """Lets change sets detect a property that now refers to another resource.

    Args:
        ministack: the adapter.
    """
    resolve = ministack.resolve_props_for_diff
    ministack.resolve_props_for_diff = lambda template, *rest: resolve(with_named_attributes(template), *rest)


def _run_on_worker_threads(ministack: MiniStack, types: Iterable[str]) -> None:
    waiting = frozenset(types)
    runs_on_worker_thread = ministack.runs_on_worker_thread
    ministack.runs_on_worker_thread = lambda kind: kind in waiting or runs_on_worker_thread(kind)


def _entry(resource_type: str, handler: ResourceHandler) -> TableEntry:
    def create(logical_id: str, properties: Properties, _stack: str) -> Made:
        return _made(handler.create(resource_type, logical_id, properties))

    def update(physical_id: str, old: Properties, new: Properties, _stack: str, logical_id: str) -> Made:
        return _made(handler.update(resource_type, physical_id, logical_id, old, new))

    def delete(physical_id: str, _properties: Properties) -> None:
        handler.delete(resource_type, physical_id)

    return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}


def _made(resource: Resource) -> Made:
    return resource.physical_id, resource.attributes
