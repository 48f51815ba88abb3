"""Settings of buckets, a file system, results, queues and buses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import ExpiryDays, KeyArn, OnDelete

_LEVEL = r"/[^.$#<>;`|&?{}^*/:\s][^$#<>;`|&?{}^*/:\s]*"
_AccessPointPath = Annotated[
    str,
    Field(
        pattern=rf"^(/|({_LEVEL}){{1,4}})$",
        max_length=100,
        description=(
            "an absolute path of at most four levels and 100 characters, without spaces, and none of whose "
            "levels begins with a point"
        ),
    ),
]
_PosixId = Annotated[int, Field(ge=0, le=4_294_967_295)]
# Aurora Serverless v2 counts in half units.
_Acu = Annotated[float, Field(ge=0, le=256, multiple_of=0.5)]
_TAKEN = "postgres rdsadmin template0 template1"
# Reserved key words: https://www.postgresql.org/docs/17/sql-keywords-appendix.html
_KEY_WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
collation column concurrently constraint create cross current_catalog current_date current_role
current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
except false fetch for foreign freeze from full grant group having ilike in initially inner intersect
into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null
offset on only or order outer overlaps placing primary references returning right select session_user
similar some symmetric system_user table tablesample then to trailing true union unique user using
variadic verbose when where window with
"""

_TAKEN_NAMES = frozenset(_TAKEN.split())
"""Databases of every cluster, and names that belong to PostgreSQL or RDS."""
_RESERVED_NAMES = _TAKEN_NAMES | frozenset(_KEY_WORDS.split())
"""All names that RDS refuses: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html"""


class AccessPointSettings(SettingsModel):
    """A folder of the file system, and the user that jobs have in it."""

    path: _AccessPointPath
    """The folder, at most four levels deep. EFS creates it at the first mount.
    https://docs.aws.amazon.com/efs/latest/ug/API_RootDirectory.html"""
    uid: _PosixId = 1000
    """The POSIX user id that jobs have in it."""
    gid: _PosixId = 1000
    """The POSIX group id that jobs have in it."""
    permissions: Annotated[
        str, Field(pattern=r"^[0-7]{3,4}$", description="POSIX permissions in octal, such as 750")
    ] = "750"
    """Permissions of the folder when it is created, in octal."""


class FileSystemSettings(SettingsModel):
    """An encrypted file system on EFS, which jobs mount through access points."""

    access_points: Annotated[dict[str, AccessPointSettings], Field(min_length=1, max_length=100)]
    """Folders that jobs can mount, by names of your own.
    https://docs.aws.amazon.com/efs/latest/ug/efs-access-points.html"""
    backups: bool = True
    """Daily backups by AWS Backup."""
    infrequent_access_days: Literal[1, 7, 14, 30, 60, 90, 180, 270, 365] | None = 30
    """Days after which unread files move to the cheaper storage class; null for never.
    https://docs.aws.amazon.com/efs/latest/ug/lifecycle-management-efs.html"""


class ExistingBucketSettings(SettingsModel):
    """An existing bucket of the platform's account and Region, which is not changed."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$|^\$\{Token\[.+\]\}$",
            description="a bucket's name (not an ARN)",
        ),
    ]
    """Its name; in Python also the `bucket_name` of a bucket of CDK."""
    kms_key_arn: KeyArn | None = None
    """The KMS key of the bucket, which jobs may then use through S3. Not needed for a bucket under S3's own
    keys. The key's policy must let IAM policies grant its use, as KMS's default policy does."""


class StorageSettings(SettingsModel):
    """The buckets for input and output, and optional scratch space and a file system."""

    input_bucket: ExistingBucketSettings | None = None
    """An existing bucket for input, in place of a new one. Triggers need its events: switch on its events to
    Amazon EventBridge, which the platform does not change.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-event-notifications-eventbridge.html"""
    output_bucket: ExistingBucketSettings | None = None
    """An existing bucket for output, in place of a new one."""
    scratch_bucket: ExistingBucketSettings | None = None
    """An existing bucket for scratch space, whose own life cycle deletes objects; by default there is none.
    For jobs whose `uses` has `scratch_bucket`."""
    versioning: bool = True
    """Whether replaced and deleted objects of the input and output buckets can be restored."""
    noncurrent_expiry_days: ExpiryDays = 30
    """Days that replaced and deleted versions are kept.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html"""
    input_expiry_days: ExpiryDays | None = None
    """Days after which objects of the input bucket are deleted; by default they are kept."""
    output_expiry_days: ExpiryDays | None = None
    """Days after which objects of the output bucket are deleted; by default they are kept."""
    scratch_expiry_days: ExpiryDays | None = None
    """Adds a bucket for temporary data, whose objects are deleted after this number of days; by default there
    is none. For jobs whose `uses` has `scratch_bucket`."""
    kms: bool = False
    """Adds a KMS key of the platform for all data and messages, in place of keys that AWS owns: buckets, the
    file system, the table, the database, queues, topics and log groups. It costs a dollar a month, plus its
    use. Disks of instances, the event bus and access logs keep AWS's keys.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html"""
    kms_key_arn: KeyArn | None = None
    """An existing KMS key of this Region for all data and messages. Its owner must let the AWS services that
    use it do so in its policy; warnings name them.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html"""
    access_logs: bool = False
    """Adds S3's server access logs, in a separate bucket.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html"""
    file_system: FileSystemSettings | None = None
    """A file system on EFS; by default there is none."""
    on_delete: OnDelete = "retain"
    """Whether data is kept or deleted with the stack: buckets, logs, undelivered messages, the job table, the
    file system, the database and the KMS key. `destroy` deletes all of them, the database without a final
    snapshot; empty the buckets first."""

    @property
    def has_scratch_bucket(self) -> bool:
        """Whether the platform has a bucket for scratch space, new or existing."""
        return self.scratch_expiry_days is not None or self.scratch_bucket is not None

    @property
    def has_key(self) -> bool:
        """Whether a KMS key that no AWS service owns, new or existing, encrypts the data."""
        return self.kms or self.kms_key_arn is not None

    @model_validator(mode="after")
    def _one_key(self) -> StorageSettings:
        if self.kms and self.kms_key_arn is not None:
            raise ValueError(
                f"kms must be false with kms_key_arn, which is the key instead, got {self.kms_key_arn!r}"
            )
        return self

    @model_validator(mode="after")
    def _existing_buckets_are_not_changed(self) -> StorageSettings:
        for name in ("input", "output", "scratch"):
            bucket, days = getattr(self, f"{name}_bucket"), getattr(self, f"{name}_expiry_days")
            if bucket is not None and days is not None:
                raise ValueError(
                    f"{name}_expiry_days must not be given with {name}_bucket, an existing bucket whose life "
                    f"cycle is its owner's, got {days}"
                )
        if self.input_bucket is None or self.output_bucket is None:
            return self
        for setting in ("versioning", "noncurrent_expiry_days"):
            if setting in self.model_fields_set:
                raise ValueError(
                    f"{setting} must not be given with input_bucket and output_bucket, existing buckets, "
                    f"which are not changed, got {getattr(self, setting)}"
                )
        if self.access_logs and self.scratch_expiry_days is None:
            raise ValueError(
                "access_logs must be false when all buckets exist: existing buckets are not changed"
            )
        return self


class DatabaseSettings(SettingsModel):
    """Aurora PostgreSQL, Serverless v2. The jobs that use it get its secret."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,62}$",
            description="a database name: a letter, then letters, digits or _",
        ),
    ] = "results"
    """The database's name."""
    min_acu: _Acu = 0
    """The least capacity in units of 2 GiB of memory, by halves; with 0 it pauses when idle, and takes some
    seconds to resume.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.html"""
    max_acu: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)] = 2
    """The most capacity in units of 2 GiB of memory, by halves."""
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7
    """Days that backups are kept."""

    @model_validator(mode="after")
    def _name_is_free(self) -> DatabaseSettings:
        if self.name in _RESERVED_NAMES:
            why = "is PostgreSQL's or RDS's own" if self.name in _TAKEN_NAMES else "is a key word of SQL"
            raise ValueError(f"name must be one that RDS takes, got {self.name!r}, which {why}")
        return self

    @model_validator(mode="after")
    def _range_of_acu(self) -> DatabaseSettings:
        if self.min_acu > self.max_acu:
            raise ValueError(
                f"min_acu must be between 0 and max_acu, which is {self.max_acu:g}, got {self.min_acu:g}"
            )
        return self


class ResultsSettings(SettingsModel):
    """A table and a database for results that are not files."""

    job_table: bool = False
    """Adds a DynamoDB table of jobs, on demand, with point-in-time recovery, for jobs whose `uses` has
    `job_table`."""
    database: DatabaseSettings | None = None
    """A PostgreSQL database, for jobs whose `uses` has `database`; by default there is none."""


class MessagingSettings(SettingsModel):
    """An event bus and a queue by which jobs may inform other systems."""

    event_bus: bool = False
    """Adds an EventBridge bus, for jobs whose `uses` has `event_bus`.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus.html"""
    work_queue: bool = False
    """Adds an SQS queue with a dead-letter queue, for jobs whose `uses` has `work_queue`."""
