"""Warns of tags on a stack itself, which CloudFormation would copy to compute environments."""

from __future__ import annotations

import jsii
from aws_cdk import Annotations, Stack
from constructs import Construct, IValidation


def warn_of_stack_tags(scope: Construct) -> None:
    """Warns at the end of the synthesis, when all tags are known, if a construct's stack itself has tags.

    Args:
        scope: a construct that contains compute environments.
    """
    stack = Stack.of(scope)
    stack.node.add_validation(_StackTags(stack))


@jsii.implements(IValidation)
class _StackTags:
    """Warns of the tags that CloudFormation would copy to compute environments."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def validate(self) -> list[str]:
        """Adds a warning to the stack, and returns no error."""
        tags = self._stack.tags.tag_values()
        if tags:
            Annotations.of(self._stack).add_warning_v2(
                "batch-stack:stackTags",
                f"The stack itself has the tags {', '.join(sorted(tags))}. CloudFormation copies them to the "
                "compute environments, and replaces a compute environment whenever one of its tags changes. "
                'Set "@aws-cdk/core:explicitStackTags": true in the context of cdk.json: Tags.of(...) then '
                f"tags resources only. At {self._stack.node.path}",
            )
        return []
