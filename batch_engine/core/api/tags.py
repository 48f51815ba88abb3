"""Tags, untags and lists the tags of any resource.

https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
"""

from batch_engine.core.api.context import CallContext, Operation, check_tags
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.events import TagsChanged
from batch_engine.core.model.resources import JobDefinition
from batch_engine.core.model.wire import Wire
from batch_engine.core.state.registry import Entity


def _find(context: CallContext, arn: str) -> Entity:
    is_ours = arn.startswith(context.arns.batch("", "").removesuffix("/"))
    entity = context.registry.find(arn) if is_ours else None
    of_job = arn.removeprefix(context.arns.batch("job", ""))
    if of_job != arn and (":" in of_job or "#" in of_job):
        raise ClientError(f"Children of arrays and nodes have no tags of their own, got {arn}")
    if entity is None:
        raise ClientError(f"Resource {arn} not found.")
    return entity


def _tags(entity: Entity) -> dict[str, str]:
    if isinstance(entity, JobDefinition):
        return dict(entity.body.get("tags") or {})
    return dict(entity.tags)


def tag(context: CallContext, request: Wire) -> Wire:
    """TagResource: adds or overwrites the given tags and keeps the others."""
    entity = _find(context, request["resourceArn"])
    tags = _tags(entity)
    context.emit(TagsChanged(request["resourceArn"], {**tags, **check_tags(request["tags"], tags)}))
    return {}


def untag(context: CallContext, request: Wire) -> Wire:
    """UntagResource: removes tags by key; ignores keys that the resource does not have."""
    entity = _find(context, request["resourceArn"])
    tags = {key: value for key, value in _tags(entity).items() if key not in request["tagKeys"]}
    context.emit(TagsChanged(request["resourceArn"], tags))
    return {}


def list_tags(context: CallContext, request: Wire) -> Wire:
    """ListTagsForResource: returns the tags of a resource."""
    return {"tags": _tags(_find(context, request["resourceArn"]))}


OPERATIONS: dict[str, Operation] = {
    "TagResource": tag,
    "UntagResource": untag,
    "ListTagsForResource": list_tags,
}
