"""A job: its definition, roles and log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import ArnFormat, RemovalPolicy, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from batch_stack.common.grantees import warn_if_not_granted
from batch_stack.common.iam import grant_submit_job, task_role
from batch_stack.common.job_access import JobResources, combined
from batch_stack.common.log_group import log_group
from batch_stack.jobs.consumable_resource import ConsumableResource
from batch_stack.jobs.container import JobParts
from batch_stack.jobs.definition import job_definition
from batch_stack.jobs.image import job_image
from batch_stack.jobs.secrets import job_secret
from batch_stack.jobs.volumes import JobVolumes, SharedFileSystem
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.values import Architecture
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings, most_attempts, retry_strategy
from batch_stack.validation.constructs import check_fits, check_job, is_checked

_LOG_RETENTION_DAYS = 30


class ContainerJob(Construct):
    """A job definition, on EC2, Fargate or ECS Managed Instances, of one node or of several.

    Its image is built from a Dockerfile, or is one of ECR or of another registry. The container has a
    read-only root file system, a writable volume on /scratch, an init process that hands on signals, no
    privileges, and never runs without a timeout. Revisions stay active when a new one is registered, so that
    jobs which wait on an old one still start.

    Attributes:
        definition: the L2 construct of the job definition.
        unversioned_arn: its ARN without a revision, which stays the same from deployment to deployment.
        job_role: what the container's code may do; grant to it.
        execution_role: what ECS needs to start it: pull the image, read its secrets, write the log.
        log_group: where its output goes.
        platform_capability: ``ec2``, ``fargate`` or ``managed_instances``.
        architecture: the CPU architecture that it is made for; None for one whose image may be of several.
        tiers: the queues that it is meant for.
        retry: how often it is tried again, as its definition says; see `retry_in`.
        array_size: with how many children triggers and schedules submit it; None for a job that is no array.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: JobSettings,
        containers_dir: Path | None = None,
        retry: RetrySettings | None = None,
        log_retention_days: int | None = None,
        architecture: Architecture = "x86_64",
        assign_public_ip: bool = False,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        tiers: Sequence[PriorityTier] = (),
        resources: Sequence[JobResources] = (),
        file_system: SharedFileSystem | None = None,
        consumable_resources: Mapping[str, ConsumableResource] | None = None,
        key: kms.IKey | None = None,
    ) -> None:
        """Create the job definition.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the job's name in the settings; it begins the names of log streams.
            settings: image, platform, vCPUs, memory in MiB, timeout in seconds, command and so on.
            containers_dir: the build context, which holds the folder with the Dockerfile, if there is one.
            retry: when a failed attempt is followed by another; by default as its settings say, else as its
                tiers do, of several the one with the most attempts.
            log_retention_days: a period that CloudWatch Logs allows; by default its settings' own, else 30.
            architecture: the CPU architecture to build for, and to ask of Fargate.
            assign_public_ip: on Fargate, needed in public subnets.
            removal_policy: what becomes of the log group with the stack.
            tiers: the queues that it is meant for; `grant_submit` allows these.
            resources: what it may use; the settings' own variables and secrets replace theirs. `uses` names
                services of a `BatchPlatform`, which finds them; here they are given, as by ``for_jobs``.
            file_system: the platform's file system, of which a volume may name an access point.
            consumable_resources: those of the platform by their names in the settings.
            key: encrypts its log; by default that of CloudWatch Logs.

        Raises:
            SettingsError: a folder has no Dockerfile, or no containers_dir; or the settings name an access
                point or a consumable resource that is not there.
            ValueError: a tier is for another platform or CPU architecture, or cannot run the job, or is none
                of those that the settings name.
        """
        super().__init__(scope, construct_id)
        self.platform_capability, self.array_size = settings.platform, settings.array_size
        self.architecture = None if settings.any_architecture else architecture
        self.tiers = tuple(tiers)
        self._own_retry = retry or settings.retry
        self.retry = self._own_retry or most_attempts(tier.retry for tier in self.tiers)
        self._name, self._settings = name, settings.model_copy(update={"retry": self._own_retry})
        for tier in self.tiers:
            self.check_tier(tier, at=self.node.path)
        if not is_checked(self, settings):
            check_job(self, name, self._settings, self.tiers)
        self.job_role, self.execution_role = self._roles(name)
        days = log_retention_days or settings.log_retention_days or _LOG_RETENTION_DAYS
        self.log_group = log_group(
            self, "LogGroup", retention_days=days, removal_policy=removal_policy, key=key
        )
        given = combined([*resources, self._own_resources(settings)])
        image = job_image(
            self, name=name, settings=settings, containers_dir=containers_dir, architecture=architecture
        )
        volumes = JobVolumes(
            self, job=name, settings=settings.volumes, job_role=self.job_role, file_system=file_system
        )
        parts = JobParts(
            image=image,
            job_role=self.job_role,
            execution_role=self.execution_role,
            logging=ecs.LogDriver.aws_logs(stream_prefix=name, log_group=self.log_group),
            environment=given.environment,
            secrets=given.secrets,
            volumes=volumes,
            consumables=_consumables(name, settings, consumable_resources or {}),
            architecture=architecture,
            assign_public_ip=assign_public_ip,
            efa_interfaces=_efa_interfaces(settings, self.tiers),
        )
        self.definition = job_definition(self, "Definition", settings=settings, retry=self.retry, parts=parts)
        self.unversioned_arn = self._unversioned_arn()
        self._allow(given, settings.managed_policy_arns)

    def grant_submit(
        self,
        grantee: iam.IGrantable,
        *tiers: PriorityTier,
        shares: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Allow submitting this job, in any revision, and nothing else.

        IAM authorises the job definition and the queue each for itself: who is granted several jobs may
        submit each of them to all queues of all of them. Separate principals keep such pairs apart.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html

        Args:
            grantee: who may submit.
            tiers: to these queues only; by default to all that the job is meant for.
            shares: with these share identifiers only, to tiers with fair share; one that ends in ``*`` stands
                for all that begin so. By default with any. Jobs for other tiers have none.
            tags: what jobs may be tagged with, when they are submitted or later; by default they cannot be
                tagged. See `BatchPlatform.grant_stop_jobs` for what that allows.

        Raises:
            ValueError: a tier is for another platform or CPU architecture than the job, or one of `tiers` has
                nothing that the job could run on; or there is no tier;
                or there are shares, and one is not of letters and digits, or no tier has fair share.
        """
        chosen = tiers or self.tiers
        if not chosen:
            raise ValueError(f"tiers must be given, because the job has none of its own, at {self.node.path}")
        for tier in chosen:
            self.check_tier(tier, at=self.node.path)
        for tier in tiers:
            check_fits(self, self._name, self._settings, tier)
        shared = [tier for tier in chosen if shares and tier.scheduling_policy is not None]
        if shares and not shared:
            raise ValueError(
                f"shares must not be given, because no tier has fair share, got {list(shares)} "
                f"at {self.node.path}"
            )
        grant_submit_job(
            grantee,
            queues=[tier.queue for tier in chosen if tier not in shared],
            job_definition_arns=[self.unversioned_arn],
            shared_queues=[tier.queue for tier in shared],
            shares=shares,
            tags=tags or {},
        )
        warn_if_not_granted(self, grantee, "submit the job")

    def check_tier(self, tier: PriorityTier, *, at: str) -> None:
        """Make sure that a tier runs jobs like this one.

        Args:
            tier: where it is to be submitted to.
            at: the path of the construct that wants to, for the error.

        Raises:
            ValueError: it is for another platform or CPU architecture.
        """
        if tier.platform_capability != self.platform_capability:
            raise ValueError(
                f"tier must be for {self.platform_capability}, like the job, "
                f"got {tier.platform_capability} at {at}"
            )
        if self.architecture not in (None, tier.architecture):
            raise ValueError(
                f"tier must be for {self.architecture}, like the job, got {tier.architecture} at {at}"
            )

    def retry_in(self, tier: PriorityTier) -> RetrySettings | None:
        """What a submission to a tier has to say instead of the definition's retry policy.

        Args:
            tier: where it is submitted to.

        Returns:
            The tier's policy; None if the job has a policy of its own, or that of its definition is the same.
        """
        capability = self.platform_capability
        same = retry_strategy(tier.retry, capability) == retry_strategy(self.retry, capability)
        return None if self._own_retry is not None or same else tier.retry

    def _roles(self, name: str) -> tuple[iam.Role, iam.Role]:
        return (
            task_role(self, "JobRole", description=f"What the code of {name} jobs may do"),
            task_role(
                self, "ExecutionRole", description=f"Pulls the image of {name} jobs and writes their log"
            ),
        )

    def _allow(self, given: JobResources, managed_policy_arns: Sequence[str]) -> None:
        for grant in given.grants:
            grant(self.job_role)
        for index, arn in enumerate(managed_policy_arns):
            self.job_role.add_managed_policy(
                iam.ManagedPolicy.from_managed_policy_arn(self, f"ManagedPolicy{index}", arn)
            )

    def _own_resources(self, settings: JobSettings) -> JobResources:
        return JobResources(
            environment=settings.environment,
            secrets={name: job_secret(self, secret) for name, secret in settings.secrets.items()},
        )

    def _unversioned_arn(self) -> str:
        stack = Stack.of(self)
        # What follows the name's colon, the revision, is another part of the ARN.
        name = stack.split_arn(
            self.definition.job_definition_arn, ArnFormat.SLASH_RESOURCE_NAME
        ).resource_name
        return stack.format_arn(service="batch", resource="job-definition", resource_name=name)


def _efa_interfaces(settings: JobSettings, tiers: Sequence[PriorityTier]) -> int:
    """As many as there are wherever it may run: a container does not start without a device that it names."""
    return min((tier.efa_interfaces for tier in tiers), default=0) if settings.nodes is not None else 0


def _consumables(job: str, settings: JobSettings, known: Mapping[str, ConsumableResource]) -> dict[str, int]:
    arns = {}
    for name, quantity in settings.consumable_resources.items():
        if not name.startswith("arn:") and name not in known:
            raise SettingsError(
                f"jobs.{job}.consumable_resources must be of {', '.join(known) or '(none defined)'} "
                f"or ARNs, got {name!r}"
            )
        arns[name if name.startswith("arn:") else known[name].arn] = quantity
    return arns
