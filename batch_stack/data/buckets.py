"""The buckets that jobs read from and write to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from batch_stack.common.iam import grant_read_objects, grant_write_objects
from batch_stack.common.job_access import JobResources
from batch_stack.settings.services import DataService
from batch_stack.settings.storage import ExistingBucketSettings, StorageSettings

_ABANDONED_UPLOAD_DAYS = 7


class Storage(Construct):
    """An input and an output bucket, and a scratch bucket: encrypted, private, TLS only, with a life cycle.

    Those that exist already are used as they are.

    Attributes:
        input_bucket: tells EventBridge of each object created in it; one that exists must do so already.
        output_bucket: where jobs put their results.
        scratch_bucket: for what need not outlive a workflow; None unless the settings name it, or say
            when it expires.
        log_bucket: what is asked of the other buckets, by S3's server access logs; None unless asked for.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StorageSettings,
        key: kms.IKey | None = None,
        log_retention_days: int = 30,
    ) -> None:
        """Create the buckets.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: versioning, expiry in days, access logs, what deleting the stack does, and which buckets
                exist already.
            key: encrypts what is written to new buckets from now on; by default S3's own keys do.
            log_retention_days: how long access logs are kept, in days.
        """
        super().__init__(scope, construct_id)
        self._key = key
        self._removal_policy = removal_policy(settings)
        self.log_bucket = self._log_bucket(log_retention_days) if settings.access_logs else None
        self.input_bucket: s3.IBucket = (
            self._existing("Input", settings.input_bucket)
            if settings.input_bucket is not None
            else _with_events(self._data_bucket("Input", settings, settings.input_expiry_days))
        )
        self.output_bucket: s3.IBucket = (
            self._existing("Output", settings.output_bucket)
            if settings.output_bucket is not None
            else self._data_bucket("Output", settings, settings.output_expiry_days)
        )
        self.scratch_bucket = self._scratch_bucket(settings)

    def for_jobs(self) -> dict[DataService, JobResources]:
        """What a job gets of each bucket: its name, and leave to read and write as it is meant.

        ``INPUT_BUCKET`` to read, ``OUTPUT_BUCKET`` to write, and, if there is one, ``SCRATCH_BUCKET`` for
        both.

        Returns:
            By the names that `jobs.<name>.uses` has for them.
        """
        reads, writes = grant_read_objects, grant_write_objects
        given: dict[DataService, JobResources] = {
            "input_bucket": _for_jobs("INPUT_BUCKET", self.input_bucket, reads),
            "output_bucket": _for_jobs("OUTPUT_BUCKET", self.output_bucket, writes),
        }
        if self.scratch_bucket is not None:
            given["scratch_bucket"] = _for_jobs("SCRATCH_BUCKET", self.scratch_bucket, reads, writes)
        return given

    def _existing(self, construct_id: str, settings: ExistingBucketSettings) -> s3.IBucket:
        arn = settings.kms_key_arn
        key = kms.Key.from_key_arn(self, f"{construct_id}Key", arn) if arn is not None else None
        return s3.Bucket.from_bucket_attributes(
            self, construct_id, bucket_name=settings.name, encryption_key=key
        )

    def _scratch_bucket(self, settings: StorageSettings) -> s3.IBucket | None:
        if settings.scratch_bucket is not None:
            return self._existing("Scratch", settings.scratch_bucket)
        days = settings.scratch_expiry_days
        return self._bucket("Scratch", _clean_up(days), versioned=False) if days is not None else None

    def _data_bucket(
        self, construct_id: str, settings: StorageSettings, expiry_days: int | None
    ) -> s3.Bucket:
        rule = _clean_up(expiry_days, settings.noncurrent_expiry_days if settings.versioning else None)
        return self._bucket(construct_id, rule, versioned=settings.versioning)

    def _bucket(self, construct_id: str, rule: s3.LifecycleRule, *, versioned: bool) -> s3.Bucket:
        with_key = self._key is not None
        return s3.Bucket(
            self,
            construct_id,
            encryption=s3.BucketEncryption.KMS if with_key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self._key,
            # One request to KMS for many objects, instead of one for each.
            bucket_key_enabled=True if with_key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=versioned,
            lifecycle_rules=[rule],
            server_access_logs_bucket=self.log_bucket,
            server_access_logs_prefix=f"{construct_id.lower()}/" if self.log_bucket else None,
            removal_policy=self._removal_policy,
        )

    def _log_bucket(self, retention_days: int) -> s3.Bucket:
        return s3.Bucket(
            self,
            "Logs",
            # S3 delivers server access logs to no bucket whose default is a key of KMS.
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=[_clean_up(retention_days)],
            removal_policy=self._removal_policy,
        )


def _with_events(bucket: s3.Bucket) -> s3.Bucket:
    # The L2's `event_bridge_enabled` brings a custom resource; CloudFormation can do it by itself.
    cfn = cast(s3.CfnBucket, bucket.node.default_child)
    cfn.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )
    return bucket


def _for_jobs(variable: str, bucket: s3.IBucket, *grants: Callable[..., None]) -> JobResources:
    return JobResources(
        environment={variable: bucket.bucket_name},
        grants=[partial(grant, bucket=bucket) for grant in grants],
    )


def _clean_up(expiry_days: int | None, noncurrent_expiry_days: int | None = None) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="clean-up",
        abort_incomplete_multipart_upload_after=Duration.days(_ABANDONED_UPLOAD_DAYS),
        expiration=Duration.days(expiry_days) if expiry_days else None,
        noncurrent_version_expiration=(
            Duration.days(noncurrent_expiry_days) if noncurrent_expiry_days else None
        ),
    )


def removal_policy(settings: StorageSettings) -> RemovalPolicy:
    """What becomes of buckets, log groups and queues when the stack is deleted."""
    return RemovalPolicy.DESTROY if settings.on_delete == "destroy" else RemovalPolicy.RETAIN
