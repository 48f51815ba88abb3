"""Managed policies for principals that submit jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jsii
from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct, IValidation

from batch_stack.common.iam import grant_read_jobs, grant_stop_jobs
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.base.names import id_of_entry
from batch_stack.settings.submitters import SubmitterSettings

# IAM takes policies of 6,144 characters. A policy names a job twice, with and without a revision, and twice
# more if the job is meant for tiers with and without fair share. The settings limit the size of shares and
# tags.
_JOBS_OF_A_POLICY = 8


class Submitter(Construct):
    """A managed policy that allows submitting jobs, describing them, and stopping those with certain tags.

    Attach it to any role, user, group or permission set (docs/adr/059). One policy has room for eight jobs;
    the ninth job creates a second policy.

    Attributes:
        policies: the managed policies; the first of them also allows describing and stopping jobs.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shares: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        roles: Sequence[iam.IRole] = (),
    ) -> None:
        """Creates the policy; `add_job` adds the jobs, at least one.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            shares: the share identifiers that jobs may have in tiers with fair share; one that ends in ``*``
                allows all with this prefix. By default any.
            tags: the tags that jobs may be given, with these values only. Jobs that have all of them may be
                stopped; without tags, no job may be stopped. See `BatchPlatform.grant_stop_jobs`.
            roles: roles of this account to which the policy is attached.

        Raises:
            SettingsError: shares or tags are not allowed, or leave too little room in the policy.
            ValueError: a role is of another account.
        """
        super().__init__(scope, construct_id)
        self._check_account(roles)
        # The settings check shares and tags.
        self._allowed = SubmitterSettings(shares=list(shares), tags=dict(tags or {}))
        self._roles = list(roles)
        self._jobs = 0
        self.policies: list[iam.ManagedPolicy] = []
        self._add_policy()
        grant_read_jobs(self.policies[0])
        if self._allowed.tags:
            grant_stop_jobs(self.policies[0], self, tags=self._allowed.tags)
        self.node.add_validation(_HasJobs(self))

    def add_job(self, job: ContainerJob, *tiers: PriorityTier) -> iam.Grant:
        """Allows submitting one more job, and each job of this construct to the queues of all of them.

        IAM authorises job definitions and queues separately: see `ContainerJob.grant_submit`.

        Args:
            job: the job, in any revision.
            tiers: the tiers whose queues are allowed, for the construct's other jobs, too; by default all
                that the job is meant for.

        Returns:
            The grant.

        Raises:
            ValueError: as `ContainerJob.grant_submit`.
        """
        if self._jobs and self._jobs % _JOBS_OF_A_POLICY == 0:
            self._add_policy()
        self._jobs += 1
        chosen = tiers or job.tiers
        shared = any(tier.scheduling_policy is not None for tier in chosen)
        return job.grant_submit(
            self.policies[-1],
            *chosen,
            shares=self._allowed.shares if shared else (),
            tags=self._allowed.tags,
        )

    @property
    def has_jobs(self) -> bool:
        """Whether a job was added."""
        return self._jobs > 0

    def _check_account(self, roles: Sequence[iam.IRole]) -> None:
        # A managed policy names its roles without their account: it would be attached to the role of this
        # account that has the same name.
        own = Stack.of(self).account
        for role in roles:
            account = role.env.account
            if not Token.is_unresolved(own) and not Token.is_unresolved(account) and account != own:
                raise ValueError(
                    f"roles must be of the account of the stack, {own}, got {role.role_arn} at "
                    f"{self.node.path}: create the Submitter without it, and attach a policy in the other "
                    "account"
                )

    def _add_policy(self) -> None:
        number = len(self.policies) + 1
        self.policies.append(
            iam.ManagedPolicy(
                self,
                f"Policy{number}" if number > 1 else "Policy",
                description="Submits jobs of a batch platform, and asks how they are doing",
                roles=self._roles,
            )
        )


def submitters_of(scope: Construct, settings: Mapping[str, SubmitterSettings]) -> dict[str, Submitter]:
    """Creates the submitters of a platform, to which no job is added yet.

    Args:
        scope: the parent construct.
        settings: the submitters by their names in the settings.
    """
    return {
        name: Submitter(
            scope,
            id_of_entry("submitters", name),
            shares=one.shares,
            tags=one.tags,
            # By name: CDK would leave out a role of another account, given by its ARN, without a warning.
            roles=[
                iam.Role.from_role_name(scope, f"{pascal(name)}SubmitterRole{index}", role)
                for index, role in enumerate(one.roles)
            ],
        )
        for name, one in settings.items()
    }


@jsii.implements(IValidation)
class _HasJobs:
    """Refuses a policy that allows submitting nothing; jobs may be added until CDK writes the template."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    def validate(self) -> list[str]:
        """Returns an error if there is no job."""
        if self._submitter.has_jobs:
            return []
        return [
            "a submitter must have at least one job, of the settings or by add_job: it allows nothing else"
        ]
