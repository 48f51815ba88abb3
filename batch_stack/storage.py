"""The buckets that jobs read from and write to."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct

from batch_stack.settings import StorageSettings

_ABANDONED_UPLOAD_DAYS = 7


class Storage(Construct):
    """An input and an output bucket: encrypted, private, TLS only, with a life cycle.

    Attributes:
        input_bucket: tells EventBridge of each object created in it.
        output_bucket: where jobs put their results.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: StorageSettings) -> None:
        """Create both buckets.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: versioning, expiry in days, and what deleting the stack does.
        """
        super().__init__(scope, construct_id)
        self.input_bucket = self._bucket("Input", settings, settings.input_expiry_days)
        self.output_bucket = self._bucket("Output", settings, settings.output_expiry_days)
        # The L2's `event_bridge_enabled` brings a custom resource; CloudFormation can do it by itself.
        cfn = cast(s3.CfnBucket, self.input_bucket.node.default_child)
        cfn.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )

    def _bucket(self, construct_id: str, settings: StorageSettings, expiry_days: int | None) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=settings.versioning,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="clean-up",
                    abort_incomplete_multipart_upload_after=Duration.days(_ABANDONED_UPLOAD_DAYS),
                    expiration=Duration.days(expiry_days) if expiry_days else None,
                    noncurrent_version_expiration=(
                        Duration.days(settings.noncurrent_expiry_days) if settings.versioning else None
                    ),
                )
            ],
            removal_policy=removal_policy(settings),
        )


def removal_policy(settings: StorageSettings) -> RemovalPolicy:
    """What becomes of buckets, log groups and queues when the stack is deleted."""
    return RemovalPolicy.DESTROY if settings.on_delete == "destroy" else RemovalPolicy.RETAIN
