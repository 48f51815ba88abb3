"""Principals to which CDK adds no permission, and says nothing."""

from __future__ import annotations

from typing import Any

from aws_cdk import Annotations
from aws_cdk import aws_iam as iam
from constructs import Construct


def warn_if_not_granted(scope: Construct, grantee: iam.IGrantable, what: str) -> None:
    """Warn if a permission that was just granted to a role went nowhere.

    That is so for an imported role of another account than the stack's, and for one that is not to be changed
    (``mutable=False``): CDK takes the grant, and makes no policy of it.

    Args:
        scope: what was granted on; the warning is shown there.
        grantee: whom it was granted to.
        what: what the role would have been allowed.
    """
    # A construct, wherever it has an ARN: the interface does not say so.
    principal: Any = grantee.grant_principal
    arn = getattr(principal, "role_arn", None)
    if arn is None or any(isinstance(one, iam.Policy) for one in principal.node.find_all()):
        return
    Annotations.of(scope).add_warning_v2(
        f"batch-stack:notGranted:{principal.node.path}",
        f"The role {principal.node.path} is not allowed to {what}, because it is of another account or not "
        "to be changed from here: attach to it the managed policy of an entry of submitters in the settings, "
        f"or, if it is of another account, let it take a role of this one. At {scope.node.path}",
    )
