"""A job: its definition, roles and log group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.iam import grant_submit_job, task_role, warn_if_not_granted
from batch_stack.common.job_access import JobResources, combined
from batch_stack.common.log_group import log_group
from batch_stack.common.retention import DataPolicy
from batch_stack.jobs.consumable_resource import ConsumableResource
from batch_stack.jobs.container import JobParts
from batch_stack.jobs.definition import job_definition
from batch_stack.jobs.image import job_image
from batch_stack.jobs.secrets import job_secret
from batch_stack.jobs.volumes import JobVolumes, SharedFileSystem
from batch_stack.preflight.preflight import preflight_job
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.values import Architecture
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.retry import RetrySettings, policy_of_definition, policy_of_submission
from batch_stack.validation.constructs import refuse, report


class ContainerJob(Construct):
    """A job definition, on EC2, Fargate or ECS Managed Instances, of one node or of several.

    Its image is built from a Dockerfile, or comes from ECR or another registry. The container has a read-only
    root file system, a writable volume on /scratch, an init process that forwards signals, no privileges, and
    a timeout. Old revisions stay active when a new one is registered, so that jobs that wait on an old one
    still start.

    Attributes:
        definition: the L2 construct of the job definition.
        unversioned_arn: its ARN without a revision, which no deployment changes.
        job_role: the role of the container's code; grant permissions to it.
        execution_role: the role with which ECS pulls the image, reads secrets and writes the log.
        log_group: the log group of its output.
        platform_capability: ``ec2``, ``fargate`` or ``managed_instances``.
        architecture: the CPU architecture of its image; None if the image may have several.
        tiers: the tiers whose queues it is meant for.
        retry: the retry policy of its definition; see `retry_in`.
        array_size: the number of children with which triggers and schedules submit it; None for a job that is
            no array.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        settings: JobSettings,
        containers_dir: Path | None = None,
        tiers: Sequence[PriorityTier] = (),
        retry: RetrySettings | None = None,
        architecture: Architecture | None = None,
        assign_public_ip: bool = False,
        resources: Sequence[JobResources] = (),
        file_system: SharedFileSystem | None = None,
        consumable_resources: Mapping[str, ConsumableResource] | None = None,
        data_policy: DataPolicy = DataPolicy(),
        is_checked: bool = False,
    ) -> None:
        """Creates the job definition.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            name: the job's name in the settings, with which log streams begin.
            settings: image, platform, vCPUs, memory in MiB, timeout in seconds, command and so on.
            containers_dir: the build context, which contains the folder with the Dockerfile.
            tiers: the tiers that it is meant for; `grant_submit` allows their queues.
            retry: the retry policy; by default that of its settings, else that of its tiers: of several
                policies, the one with the most attempts.
            architecture: the CPU architecture to build for, and to ask of Fargate; by default that of its
                tiers, or ``x86_64`` without any.
            assign_public_ip: on Fargate, needed in public subnets.
            resources: the resources that it may use, such as ``for_jobs`` of data services; `uses` of the
                settings has no effect here. The settings' own variables and secrets replace theirs.
            file_system: a file system whose access points volumes may name.
            consumable_resources: the platform's consumable resources by their names in the settings.
            data_policy: how long its log is kept, unless its settings say so, and which key encrypts it.
            is_checked: whether the checks before deployment have run, as a `BatchPlatform` runs them.

        Raises:
            SettingsError: a folder has no Dockerfile, or no containers_dir; or the settings name an access
                point or a consumable resource that does not exist.
            ValueError: a tier is for another platform or CPU architecture, or cannot run the job, or is not
                among the tiers that the settings name.
        """
        super().__init__(scope, construct_id)
        self.platform_capability, self.array_size = settings.platform, settings.array_size
        self.tiers = tuple(tiers)
        self._architecture = architecture or (self.tiers[0].architecture if self.tiers else "x86_64")
        self.architecture = None if settings.any_architecture else self._architecture
        self._own_retry = retry or settings.retry
        self.retry = policy_of_definition(self._own_retry, (tier.retry for tier in self.tiers))
        self._name, self._settings = name, settings.model_copy(update={"retry": self._own_retry})
        self._check_tiers(is_checked)
        self.job_role, self.execution_role = self._roles(name)
        days = settings.log_retention_days or data_policy.log_retention_days
        self.log_group = log_group(
            self, "LogGroup", data_policy=replace(data_policy, log_retention_days=days)
        )
        given = combined([*resources, self._own_resources(settings)])
        parts = self._parts(
            given,
            image=self._image(containers_dir),
            volumes=self._volumes(file_system),
            consumables=self._consumables(consumable_resources or {}),
            assign_public_ip=assign_public_ip,
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
    ) -> iam.Grant:
        """Allows submitting this job, in any revision, and nothing else.

        IAM authorises the job definition and the queue separately: a principal that is granted several jobs
        may submit each of them to all queues of all of them. Use separate principals to keep pairs apart.
        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html

        Args:
            grantee: the principal that may submit.
            tiers: the tiers whose queues are allowed; by default all that the job is meant for.
            shares: the share identifiers that are allowed in tiers with fair share; one that ends in ``*``
                allows all with this prefix. By default all are allowed. Jobs for other tiers have no share.
            tags: the tags that jobs may be given, when they are submitted or later; by default none. See
                `BatchPlatform.grant_stop_jobs` for what that allows.

        Returns:
            The grant.

        Raises:
            ValueError: a tier is for another platform or CPU architecture than the job, or one of `tiers` has
                no compute environment that can run the job; or there is no tier; or a share is not of letters
                and digits; or there are shares, and no tier has fair share.
        """
        chosen = tiers or self.tiers
        if not chosen:
            raise ValueError(f"tiers must be given, because the job has none of its own, at {self.node.path}")
        for tier in chosen:
            self.check_tier(tier, at=self.node.path)
        for tier in tiers:
            refuse(preflight_job(self._name, self._settings, [tier.alone]), at=self.node.path)
        shared = [tier for tier in chosen if shares and tier.scheduling_policy is not None]
        if shares and not shared:
            raise ValueError(
                f"shares must not be given, because no tier has fair share, got {list(shares)} "
                f"at {self.node.path}"
            )
        grant = grant_submit_job(
            grantee,
            queues=[tier.queue for tier in chosen if tier not in shared],
            job_definition_arns=[self.unversioned_arn],
            shared_queues=[tier.queue for tier in shared],
            shares=shares,
            tags=tags or {},
        )
        warn_if_not_granted(self, grantee, "submit the job")
        return grant

    def check_tier(self, tier: PriorityTier, *, at: str) -> None:
        """Checks that a tier runs jobs like this one.

        Args:
            tier: the tier that the job is submitted to.
            at: the path of the construct that submits it, for the error.

        Raises:
            ValueError: the tier is for another platform or CPU architecture, or runs no multi-node jobs.
        """
        reason = self._settings.incompatibility(tier.alone.compute, self._architecture)
        if reason is not None:
            raise ValueError(
                f"tier must be one that can run the job, because jobs.{self._name}{reason}, "
                f"got {tier.name!r} at {at}"
            )

    def retry_in(self, tier: PriorityTier) -> RetrySettings | None:
        """Returns the retry policy that a submission to a tier needs instead of the definition's.

        Args:
            tier: the tier that the job is submitted to.

        Returns:
            The tier's policy; None if the job has its own policy, or its definition has the same one.
        """
        return policy_of_submission(self._own_retry, self.retry, tier.retry, self.platform_capability)

    def _check_tiers(self, is_checked: bool) -> None:
        for tier in self.tiers:
            self.check_tier(tier, at=self.node.path)
        if is_checked:
            return
        names = [tier.name for tier in self.tiers]
        for index, wanted in enumerate(self._settings.tiers or []):
            if wanted not in names:
                raise ValueError(
                    f"settings.tiers[{index}] must be the name of one of tiers, "
                    f"{', '.join(names) or '(none given)'}, got {wanted!r} at {self.node.path}"
                )
        if self.tiers:
            tiers = [tier.alone for tier in self.tiers]
            report(self, preflight_job(self._name, self._settings, tiers))

    def _roles(self, name: str) -> tuple[iam.Role, iam.Role]:
        return (
            task_role(self, "JobRole", description=f"What the code of {name} jobs may do"),
            task_role(
                self, "ExecutionRole", description=f"Pulls the image of {name} jobs and writes their log"
            ),
        )

    def _image(self, containers_dir: Path | None) -> ecs.ContainerImage:
        return job_image(
            self,
            name=self._name,
            settings=self._settings,
            containers_dir=containers_dir,
            architecture=self._architecture,
        )

    def _refuse(self, problems: Iterable[str]) -> None:
        for problem in problems:
            raise SettingsError(f"jobs.{self._name}.{problem}")

    def _volumes(self, file_system: SharedFileSystem | None) -> JobVolumes:
        access_points = file_system.access_points if file_system is not None else {}
        self._refuse(self._settings.unknown_access_points(access_points))
        return JobVolumes(
            self,
            settings=self._settings.volumes,
            job_role=self.job_role,
            file_system=file_system,
        )

    def _consumables(self, known: Mapping[str, ConsumableResource]) -> dict[str, int]:
        self._refuse(self._settings.unknown_consumable_resources(known))
        return {
            known[name].arn if name in known else name: quantity
            for name, quantity in self._settings.consumable_resources.items()
        }

    def _parts(
        self,
        given: JobResources,
        *,
        image: ecs.ContainerImage,
        volumes: JobVolumes,
        consumables: Mapping[str, int],
        assign_public_ip: bool,
    ) -> JobParts:
        return JobParts(
            image=image,
            job_role=self.job_role,
            execution_role=self.execution_role,
            logging=ecs.LogDriver.aws_logs(stream_prefix=self._name, log_group=self.log_group),
            environment=given.environment,
            secrets=given.secrets,
            volumes=volumes,
            consumables=consumables,
            architecture=self._architecture,
            assign_public_ip=assign_public_ip,
            efa_interfaces=_efa_interfaces(self._settings, self.tiers),
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
        # The revision, after the name's colon, is another part of the ARN.
        name = stack.split_arn(
            self.definition.job_definition_arn, ArnFormat.SLASH_RESOURCE_NAME
        ).resource_name
        return stack.format_arn(service="batch", resource="job-definition", resource_name=name)


def _efa_interfaces(settings: JobSettings, tiers: Sequence[PriorityTier]) -> int:
    """Returns the EFA interfaces that instances of all tiers have: a container needs all devices it names."""
    return min((tier.efa_interfaces for tier in tiers), default=0) if settings.nodes is not None else 0
