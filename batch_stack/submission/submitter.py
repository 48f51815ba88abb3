"""Those who submit jobs: a managed policy, which anybody can be given."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.iam import grant_read_jobs, grant_stop_jobs
from batch_stack.jobs.container_job import ContainerJob
from batch_stack.queues.priority_tier import PriorityTier
from batch_stack.settings.submitters import SubmitterSettings

# IAM takes policies of 6,144 characters. A job is named twice, with and without a revision, and so once more
# if it is meant for tiers with and without fair share. The settings bound what shares and tags take.
_JOBS_OF_A_POLICY = 8


class Submitter(Construct):
    """Somebody who may submit jobs, ask how they are doing, and stop those that carry certain tags.

    That is a managed policy, to be attached to whatever role, user, group or permission set it is for
    (docs/adr/059). One policy has room for eight jobs; the ninth brings a second policy.

    Attributes:
        policies: the managed policies; the first of them also allows reading and stopping jobs.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: SubmitterSettings) -> None:
        """Create the policy; `allow` says for which jobs.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: shares, tags, and the roles that are given the policy. `jobs` and `tiers`, which are
                names in the settings of a platform, are not looked at.
        """
        super().__init__(scope, construct_id)
        self._settings = settings
        self._roles = [
            # By name: with an ARN, CDK would leave out a role of another account without a word.
            iam.Role.from_role_name(self, f"Role{index}", name)
            for index, name in enumerate(settings.roles)
        ]
        self._jobs = 0
        self.policies: list[iam.ManagedPolicy] = []
        self._add_policy()
        grant_read_jobs(self.policies[0])
        if settings.tags:
            grant_stop_jobs(self.policies[0], self, tags=settings.tags)

    def allow(self, job: ContainerJob, *tiers: PriorityTier) -> None:
        """Allow submitting one job more, and this and those before it to each other's queues.

        IAM authorises job definitions and queues each for itself: see `ContainerJob.grant_submit`.

        Args:
            job: the job, in any revision.
            tiers: to these queues, and those of its other jobs; by default all that the job is meant for.

        Raises:
            ValueError: as `ContainerJob.grant_submit`.
        """
        if self._jobs and self._jobs % _JOBS_OF_A_POLICY == 0:
            self._add_policy()
        self._jobs += 1
        chosen = tiers or job.tiers
        shared = any(tier.scheduling_policy is not None for tier in chosen)
        job.grant_submit(
            self.policies[-1],
            *chosen,
            shares=self._settings.shares if shared else (),
            tags=self._settings.tags,
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
