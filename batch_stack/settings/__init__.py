"""The settings of a batch platform, typed and checked. Knows nothing of CDK."""

from batch_stack.settings.additions import with_job, with_schedule, with_trigger
from batch_stack.settings.base import Architecture, LogRetentionDays, OnDelete, Platform, SettingsError, State
from batch_stack.settings.compute import (
    ComputeEnvironmentSettings,
    Ec2Settings,
    ExistingComputeSettings,
    FargateSettings,
    ManagedInstancesSettings,
    OnDemandSettings,
    SpotSettings,
    UnmanagedSettings,
)
from batch_stack.settings.file import load_settings, parse_settings
from batch_stack.settings.jobs import (
    JobSettings,
    NodeGroupSettings,
    NodesSettings,
)
from batch_stack.settings.network import (
    ExistingNetworkSettings,
    IsolatedNetworkSettings,
    NetworkSettings,
    PrivateNetworkSettings,
    PublicNetworkSettings,
)
from batch_stack.settings.retry import EX_TEMPFAIL, RetryRule, RetrySettings
from batch_stack.settings.root import (
    ConsumableResourceSettings,
    NotificationSettings,
    RetiredSettings,
    Settings,
    TriggerSettings,
)
from batch_stack.settings.schedules import ScheduleSettings
from batch_stack.settings.secrets import SecretSettings
from batch_stack.settings.services import DataService
from batch_stack.settings.storage import (
    AccessPointSettings,
    DatabaseSettings,
    ExistingBucketSettings,
    FileSystemSettings,
    MessagingSettings,
    ResultsSettings,
    StorageSettings,
)
from batch_stack.settings.submitters import SubmitterSettings
from batch_stack.settings.tiers import (
    AlarmSettings,
    BudgetSettings,
    FairShareSettings,
    TierSettings,
    TimeLimitSettings,
)
from batch_stack.settings.volumes import (
    EfsVolumeSettings,
    HostVolumeSettings,
    S3FilesVolumeSettings,
    TmpfsVolumeSettings,
    VolumeSettings,
)

__all__ = [
    "EX_TEMPFAIL",
    "AccessPointSettings",
    "AlarmSettings",
    "Architecture",
    "BudgetSettings",
    "ComputeEnvironmentSettings",
    "ConsumableResourceSettings",
    "DataService",
    "DatabaseSettings",
    "Ec2Settings",
    "EfsVolumeSettings",
    "ExistingBucketSettings",
    "ExistingComputeSettings",
    "ExistingNetworkSettings",
    "FairShareSettings",
    "FargateSettings",
    "FileSystemSettings",
    "HostVolumeSettings",
    "IsolatedNetworkSettings",
    "JobSettings",
    "LogRetentionDays",
    "ManagedInstancesSettings",
    "MessagingSettings",
    "NetworkSettings",
    "NodeGroupSettings",
    "NodesSettings",
    "NotificationSettings",
    "OnDelete",
    "OnDemandSettings",
    "Platform",
    "PrivateNetworkSettings",
    "PublicNetworkSettings",
    "ResultsSettings",
    "RetiredSettings",
    "RetryRule",
    "RetrySettings",
    "S3FilesVolumeSettings",
    "ScheduleSettings",
    "SecretSettings",
    "Settings",
    "SettingsError",
    "SpotSettings",
    "State",
    "StorageSettings",
    "SubmitterSettings",
    "TierSettings",
    "TimeLimitSettings",
    "TmpfsVolumeSettings",
    "TriggerSettings",
    "UnmanagedSettings",
    "VolumeSettings",
    "load_settings",
    "parse_settings",
    "with_job",
    "with_schedule",
    "with_trigger",
]
