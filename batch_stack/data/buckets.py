"""The buckets that jobs read from and write to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from batch_stack.common.iam import grant_read_objects, grant_write_objects
from batch_stack.common.job_access import JobResources
from batch_stack.common.retention import DataPolicy, removal_policy
from batch_stack.settings.additions import with_buckets
from batch_stack.settings.services import DataService
from batch_stack.settings.storage import ExistingBucketSettings, StorageSettings

_ABANDONED_UPLOAD_DAYS = 7


class Storage(Construct):
    """An input bucket, an output bucket and an optional scratch bucket: encrypted, private, TLS only.

    Existing buckets are not changed.

    Attributes:
        input_bucket: the bucket whose new objects become jobs. A new one sends its events to EventBridge; an
            existing one must already do so.
        output_bucket: the bucket for the jobs' results.
        scratch_bucket: the bucket for objects that need not outlive a workflow; None unless the settings name
            one, or set the expiry of its objects.
        log_bucket: S3's server access logs of the other buckets; None unless the settings ask for them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: StorageSettings | None = None,
        input_bucket: s3.IBucket | None = None,
        output_bucket: s3.IBucket | None = None,
        data_policy: DataPolicy | None = None,
    ) -> None:
        """Creates the buckets that do not exist yet.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: versioning, expiry in days, access logs, and the names of existing buckets.
            input_bucket: an existing bucket for input, instead of a new one. Jobs may use its key if it has
                an `encryption_key`; of a bucket that is imported without it, CDK does not know the key.
            output_bucket: an existing bucket for output, instead of a new one. The same applies to its key.
            data_policy: what happens to new buckets when the stack is deleted, which key encrypts new
                objects, and how long access logs are kept; by default `on_delete` of the settings, S3's own
                key, and 30 days.

        Raises:
            SettingsError: the settings name the same bucket, or would change an existing one.
            ValueError: `data_policy` and `on_delete` of the settings do not agree.
        """
        super().__init__(scope, construct_id)
        own = settings or StorageSettings()
        settings = with_buckets(own, **bucket_names(input_bucket, output_bucket))
        asked = removal_policy(own)
        self._data_policy = data_policy or DataPolicy(removal_policy=asked)
        if "on_delete" in own.model_fields_set and self._data_policy.removal_policy is not asked:
            raise ValueError(
                f"data_policy must agree with on_delete of the settings, which is {own.on_delete!r}, got "
                f"removal_policy {self._data_policy.removal_policy.name} at {self.node.path}"
            )
        self.log_bucket = self._log_bucket() if settings.access_logs else None
        self.input_bucket = (
            input_bucket
            or self._existing("Input", own.input_bucket)
            or _with_events(self._data_bucket("Input", settings, settings.input_expiry_days))
        )
        self.output_bucket = (
            output_bucket
            or self._existing("Output", own.output_bucket)
            or self._data_bucket("Output", settings, settings.output_expiry_days)
        )
        self.scratch_bucket = self._scratch_bucket(settings)

    def for_jobs(self) -> dict[DataService, JobResources]:
        """Returns a variable with each bucket's name, and the permission to read or write the bucket.

        ``INPUT_BUCKET`` is for reading, ``OUTPUT_BUCKET`` for writing, and ``SCRATCH_BUCKET``, if there is
        one, for both.

        Returns:
            The resources by the names that `jobs.<name>.uses` takes.
        """
        reads, writes = grant_read_objects, grant_write_objects
        given: dict[DataService, JobResources] = {
            "input_bucket": _for_jobs("INPUT_BUCKET", self.input_bucket, reads),
            "output_bucket": _for_jobs("OUTPUT_BUCKET", self.output_bucket, writes),
        }
        if self.scratch_bucket is not None:
            given["scratch_bucket"] = _for_jobs("SCRATCH_BUCKET", self.scratch_bucket, reads, writes)
        return given

    def _existing(self, construct_id: str, settings: ExistingBucketSettings | None) -> s3.IBucket | None:
        if settings is None:
            return None
        arn = settings.kms_key_arn
        key = kms.Key.from_key_arn(self, f"{construct_id}Key", arn) if arn is not None else None
        return s3.Bucket.from_bucket_attributes(
            self, construct_id, bucket_name=settings.name, encryption_key=key
        )

    def _scratch_bucket(self, settings: StorageSettings) -> s3.IBucket | None:
        days = settings.scratch_expiry_days
        if days is None:
            return self._existing("Scratch", settings.scratch_bucket)
        return self._bucket("Scratch", _clean_up(days), versioned=False)

    def _data_bucket(
        self, construct_id: str, settings: StorageSettings, expiry_days: int | None
    ) -> s3.Bucket:
        rule = _clean_up(expiry_days, settings.noncurrent_expiry_days if settings.versioning else None)
        return self._bucket(construct_id, rule, versioned=settings.versioning)

    def _bucket(self, construct_id: str, rule: s3.LifecycleRule, *, versioned: bool) -> s3.Bucket:
        key = self._data_policy.key
        return s3.Bucket(
            self,
            construct_id,
            encryption=s3.BucketEncryption.KMS if key is not None else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            # One request to KMS for many objects, instead of one for each.
            bucket_key_enabled=True if key is not None else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=versioned,
            lifecycle_rules=[rule],
            server_access_logs_bucket=self.log_bucket,
            server_access_logs_prefix=f"{construct_id.lower()}/" if self.log_bucket else None,
            removal_policy=self._data_policy.removal_policy,
        )

    def _log_bucket(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "Logs",
            # S3 delivers server access logs only to buckets that are not encrypted with a KMS key.
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=[_clean_up(self._data_policy.log_retention_days)],
            removal_policy=self._data_policy.removal_policy,
        )


def _with_events(bucket: s3.Bucket) -> s3.Bucket:
    # The L2's `event_bridge_enabled` adds a custom resource, although CloudFormation has a property for it.
    cfn = cast(s3.CfnBucket, bucket.node.default_child)
    cfn.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )
    return bucket


def _for_jobs(variable: str, bucket: s3.IBucket, *grants: Callable[..., iam.Grant]) -> JobResources:
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


def bucket_names(input_bucket: s3.IBucket | None, output_bucket: s3.IBucket | None) -> dict[str, str]:
    """Returns the names of existing buckets, by the settings that could also name them."""
    given = {"input_bucket": input_bucket, "output_bucket": output_bucket}
    return {setting: bucket.bucket_name for setting, bucket in given.items() if bucket is not None}
