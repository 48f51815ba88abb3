"""Settings of what keeps data: buckets, a file system, results, queues and buses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base import AbsolutePath, ExpiryDays, OnDelete, SettingsModel

_PosixId = Annotated[int, Field(ge=0, le=4_294_967_295)]
# Aurora Serverless v2 counts in half units.
_Acu = Annotated[float, Field(ge=0, le=256, multiple_of=0.5)]


class AccessPointSettings(SettingsModel):
    """A folder of the file system, and the user as whom jobs work in it."""

    path: AbsolutePath
    uid: _PosixId = 1000
    gid: _PosixId = 1000
    permissions: Annotated[
        str, Field(pattern=r"^[0-7]{3,4}$", description="POSIX permissions in octal, such as 750")
    ] = "750"


class FileSystemSettings(SettingsModel):
    """A file system on EFS, encrypted, that jobs mount through access points."""

    access_points: Annotated[dict[str, AccessPointSettings], Field(min_length=1, max_length=100)]
    backups: bool = True
    infrequent_access_days: Literal[1, 7, 14, 30, 60, 90, 180, 270, 365] | None = 30


class StorageSettings(SettingsModel):
    """The buckets for input and output, and, where asked for, scratch space and a file system."""

    versioning: bool = True
    noncurrent_expiry_days: ExpiryDays = 30
    input_expiry_days: ExpiryDays | None = None
    output_expiry_days: ExpiryDays | None = None
    # A bucket for what need not outlive a workflow, emptied after so many days; by default there is none.
    scratch_expiry_days: ExpiryDays | None = None
    # A KMS key of the platform's own, instead of the keys that AWS's services own.
    kms: bool = False
    access_logs: bool = False
    file_system: FileSystemSettings | None = None
    on_delete: OnDelete = "retain"


class DatabaseSettings(SettingsModel):
    """Aurora PostgreSQL, Serverless v2; its secret is handed to the jobs."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,62}$",
            description="a database name: a letter, then letters, digits or _",
        ),
    ] = "results"
    # With 0 it pauses when idle, and takes some seconds to come back.
    min_acu: _Acu = 0
    max_acu: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)] = 2
    backup_days: Annotated[int, Field(ge=1, le=35)] = 7

    @model_validator(mode="after")
    def _range_of_acu(self) -> DatabaseSettings:
        if self.min_acu > self.max_acu:
            raise ValueError(
                f"min_acu must be between 0 and max_acu, which is {self.max_acu:g}, got {self.min_acu:g}"
            )
        return self


class ResultsSettings(SettingsModel):
    """Where jobs may put results that are not files."""

    job_table: bool = False  # a DynamoDB table of jobs
    database: DatabaseSettings | None = None


class MessagingSettings(SettingsModel):
    """How jobs may tell others of what they did."""

    event_bus: bool = False  # an EventBridge bus of the platform's own
    work_queue: bool = False  # an SQS queue with a dead-letter queue
