"""Which KMS key encrypts the data of a platform."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.kms import encryption_key
from batch_stack.data.buckets import removal_policy
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.root import Settings


def platform_key(scope: Construct, settings: Settings, given: kms.IKey | None) -> kms.IKey | None:
    """The key of a platform: one that is given, or that `storage` names or asks for; None without any.

    A budget that disables its queue needs one, too: AWS Budgets cannot use the AWS managed key of SNS.

    Args:
        scope: the platform.
        settings: of the platform.
        given: an existing key.

    Raises:
        SettingsError: there are two.
    """
    storage = settings.storage
    if given is not None and storage.has_key:
        raise SettingsError(
            "storage.kms and storage.kms_key_arn must not be given with key, an existing key, got "
            f"{storage.kms_key_arn or storage.kms} at {scope.node.path}"
        )
    if given is not None:
        return given
    if storage.kms_key_arn is not None:
        return kms.Key.from_key_arn(scope, "ExistingKey", storage.kms_key_arn)
    budgets = (tier.budget for tier in settings.tiers.values())
    disables = any(budget is not None and budget.on_exceeded == "disable_queue" for budget in budgets)
    if not storage.kms and not disables:
        return None
    return encryption_key(scope, "Key", removal_policy=removal_policy(storage))
