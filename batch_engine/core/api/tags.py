"""Tag, untag and list the tags of any resource.

https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
"""

from typing import cast

from batch_engine.core.api.context import CallContext, Operation, check_tags
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.registry import Entity


def _find(context: CallContext, arn: str) -> Entity:
    prefix = context.arns.batch("", "").removesuffix("/")
    kind, _, name = arn.removeprefix(prefix).partition("/")
    registry = context.registry
    entity: Entity | None = None
    if arn.startswith(prefix):
        match kind:
            case "compute-environment":
                entity = registry.compute_environments.get(name)
            case "job-queue":
                entity = registry.job_queues.get(name) or registry.quota_shares.get(arn)
            case "service-environment":
                entity = registry.service_environments.get(name)
            case "consumable-resource":
                entity = registry.consumable_resources.get(name)
            case "scheduling-policy":
                entity = registry.scheduling_policies.get(arn)
            case "job":
                if ":" in name or "#" in name:
                    raise ClientError(f"Children of arrays and nodes have no tags of their own, got {arn}")
                entity = registry.jobs.get(name)
            case "job-definition":
                bare, _, revision = name.partition(":")
                if revision.isascii() and revision.isdigit():
                    entity = registry.job_definitions.get(bare, {}).get(int(revision))
    if entity is None:
        raise ClientError(f"Resource {arn} not found.")
    return entity


def _tags(entity: Entity) -> dict[str, str]:
    """The entity's own tags, to be changed in place."""
    if hasattr(entity, "tags"):
        return cast(dict[str, str], entity.tags)
    return cast(dict[str, str], entity.body.setdefault("tags", {}))


def tag(context: CallContext, request: Wire) -> Wire:
    """TagResource: adds and overwrites, leaves the others."""
    entity = _find(context, request["resourceArn"])
    check_tags(request["tags"], _tags(entity))
    _tags(entity).update(request["tags"])
    context.registry.touch(entity)
    return {}


def untag(context: CallContext, request: Wire) -> Wire:
    """UntagResource: keys that are not there are passed over."""
    entity = _find(context, request["resourceArn"])
    for key in request["tagKeys"]:
        _tags(entity).pop(key, None)
    context.registry.touch(entity)
    return {}


def list_tags(context: CallContext, request: Wire) -> Wire:
    """ListTagsForResource."""
    return {"tags": dict(_tags(_find(context, request["resourceArn"])))}


OPERATIONS: dict[str, Operation] = {
    "TagResource": tag,
    "UntagResource": untag,
    "ListTagsForResource": list_tags,
}
