"""Settings of priority tiers: job queues, their compute environments, and the rules of their jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import SHARE_OR_PREFIX, State
from batch_stack.settings.compute.base import ComputeSettings
from batch_stack.settings.compute.kinds import KINDS
from batch_stack.settings.retry import RetrySettings

# The range of the jobStateTimeLimitActions of a queue: CreateJobQueue, maxTimeSeconds.
TimeLimit = Annotated[int, Field(ge=600, le=86_400)]
Priority = Annotated[int, Field(ge=0, le=1000)]


class TimeLimitSettings(SettingsModel):
    """Seconds that a stuck job at the head of a queue stays RUNNABLE before it is cancelled, by reason."""

    insufficient_instance_capacity_s: TimeLimit = 86_400
    """Seconds to wait for capacity that AWS lacks at the moment."""
    compute_environment_max_resource_s: TimeLimit = 600
    """Seconds to wait when a compute environment's `max_vcpus` is too small for the job."""
    job_resource_requirement_s: TimeLimit = 600
    """Seconds to wait when no instance type can hold the job."""


class AlarmSettings(SettingsModel):
    """An alarm on the number of failed jobs within some minutes."""

    failed_jobs: Annotated[int, Field(ge=1, le=100_000)] = 10
    """The number of failed jobs. An array counts as one job, with any number of failed children."""
    within_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """The minutes within which they fail."""


class FairShareSettings(SettingsModel):
    """A fair-share scheduling policy. Jobs of the tier must then name a share.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_FairsharePolicy.html
    """

    decay_s: Annotated[int, Field(ge=0, le=604_800)] = 3600
    """Seconds for which past use counts. 0 does not switch it off: AWS Batch then takes 600."""
    compute_reservation_percent: Annotated[int, Field(ge=0, le=99)] = 0
    """The part of the vCPUs that is kept for shares without jobs, in per cent."""
    shares: Annotated[
        dict[str, Annotated[float, Field(ge=0.0001, le=999.9999)]],
        Field(
            min_length=1,
            max_length=500,
            json_schema_extra={"propertyNames": {"pattern": f"^({SHARE_OR_PREFIX.pattern})$"}},
        ),
    ]
    """Weights of share identifiers (letters and digits) or of prefixes that end in `*`, which must not
    overlap. A lower weight gets more; a share without an entry has the weight 1."""

    @model_validator(mode="after")
    def _shares_that_aws_takes(self) -> FairShareSettings:
        for name in self.shares:
            if not SHARE_OR_PREFIX.fullmatch(name):
                raise ValueError(
                    "shares must have names of letters and digits, at most 255 characters, of which the last "
                    f"may be an asterisk, got {name!r}"
                )
        for prefix in (name for name in self.shares if name.endswith("*")):
            for other in self.shares:
                if other != prefix and other.startswith(prefix[:-1]):
                    raise ValueError(
                        f"shares must not overlap, got {other!r} and {prefix!r}, which includes it"
                    )
        return self


class BudgetSettings(SettingsModel):
    """A monthly limit on the cost of a tier's EC2 instances, by AWS Budgets and a tag of the instances.

    Activate the cost allocation tag ``batch-stack-compute-environment`` once, in the billing console of the
    account that pays. Budgets lag behind by hours. No other tier may use the compute environments of the
    tier, which must be of type `spot` or `on_demand`. A budget for the whole platform is not possible.
    https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-best-practices.html
    """

    usd_per_month: Annotated[float, Field(ge=0.01, le=1e9)]
    """The limit, in US dollars a calendar month."""
    notify_percent: Annotated[
        list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1, max_length=4)
    ] = [
        80,
        100,
    ]
    """The percentages of the limit at which the topic gets a message."""
    on_exceeded: Literal["notify", "disable_queue"] = "notify"
    """`disable_queue`: at 100 % the queue takes no new jobs until you enable it; running jobs go on. Uploads
    for triggers are tried for two hours, then kept in the trigger's dead-letter queue until 14 days after the
    upload. An alarm reports them, and docs/constructs/ObjectTrigger.md says how to move them back. Requests
    of schedules are tried for a day, then kept in the schedule's dead-letter queue for 14 days."""

    @model_validator(mode="after")
    def _each_percentage_once(self) -> BudgetSettings:
        if len(set(self.notify_percent)) < len(self.notify_percent):
            raise ValueError(f"notify_percent must have each percentage once, got {self.notify_percent}")
        return self


class TierSettings(SettingsModel):
    """A priority tier: a job queue over one to three compute environments, tried in their order."""

    priority: Priority
    """The order among queues on the same compute environment: the highest priority first."""
    compute: Annotated[list[str], Field(min_length=1, max_length=3)]
    """Names of `compute`, tried in this order. All have the same platform and CPU architecture."""
    retry: RetrySettings = RetrySettings()
    """The retry policy of jobs that have no `retry` of their own. A job definition has one policy: among
    several tiers, the one with the most attempts. Triggers and schedules submit with the policy of their
    tier; other submitters may pass `--retry-strategy`."""
    time_limits: TimeLimitSettings = TimeLimitSettings()
    """The time limits for a job at the head of the queue that cannot start."""
    alarms: AlarmSettings | None = AlarmSettings()
    """The alarm on failed jobs; null for none."""
    fair_share: FairShareSettings | None = None
    """A fair-share policy; by default the first job in is the first out. A deployed queue can neither get
    nor lose one."""
    budget: BudgetSettings | None = None
    """A monthly limit on its cost; by default there is none."""
    state: State = "enabled"
    """A disabled queue finishes its jobs and takes no new ones: uploads for triggers, and requests of
    schedules, end in their dead-letter queues."""

    def share_problem(self, share: str | None, tier: str) -> str | None:
        """Returns the reason why jobs cannot have this share, or cannot lack one; None if they can.

        Args:
            share: the share identifier; None for none.
            tier: the name of the tier in the message.
        """
        if (share is None) == (self.fair_share is None):
            return None
        needed = "be given" if share is None else "not be given"
        has = "has" if self.fair_share is not None else "has no"
        return f"share must {needed}, because {tier} {has} fair_share"


def compute_problems(names: Sequence[str], compute: Mapping[str, ComputeSettings]) -> Iterator[str]:
    """Checks that AWS Batch takes compute environments for one queue.

    Args:
        names: the names of a tier's compute environments, in their order.
        compute: the compute environments by these names.

    Returns:
        The problems, each beginning with the field of the tier.
    """
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"compute[{index}] must differ from those before it, got {name!r} again"
            continue
        first, this = compute[names[0]], compute[name]
        for quality, own, wanted in (
            ("platform", this.platform_capability, first.platform_capability),
            ("architecture", this.architecture, first.architecture),
        ):
            if own != wanted:
                yield (
                    f"compute[{index}] must have the {quality} {wanted} like {names[0]}, got {name!r}, which "
                    f"has {own}: a queue takes one {quality} only"
                )


def budget_problems(names: Sequence[str], compute: Mapping[str, ComputeSettings]) -> Iterator[str]:
    """Checks that a budget can count the costs of a tier's compute environments.

    Args:
        names: the names of the tier's compute environments, in their order.
        compute: the compute environments by these names.

    Returns:
        The problems, each beginning with the field of the tier.
    """
    for index, name in enumerate(names):
        if not compute[name].is_budgetable:
            yield (
                f"compute[{index}] must be of type {' or '.join(_budgetable())} in a tier with a budget, "
                "which counts instances and volumes by a tag of their launch template, got "
                f"{name!r}, which is {compute[name].type}"
            )


def _budgetable() -> list[str]:
    """Returns the types of compute environments that a budget can count."""
    return [kind.model_fields["type"].default for kind in KINDS if kind.is_budgetable]


DEFAULT_TIERS: dict[str, TierSettings] = {
    "critical": TierSettings(priority=300, compute=["on_demand"]),
    "standard": TierSettings(priority=200, compute=["spot", "on_demand"]),
    "bulk": TierSettings(priority=100, compute=["spot"], retry=RetrySettings(attempts=5)),
    "fargate": TierSettings(priority=50, compute=["fargate"]),
}
