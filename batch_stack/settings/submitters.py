"""Settings of submitters: teams, services and pipelines that submit jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import SHARE_OR_PREFIX, NonEmpty

_Share = Annotated[
    str,
    Field(
        pattern=rf"^({SHARE_OR_PREFIX.pattern})$",
        description="a share identifier of letters and digits, the last of which may be *",
    ),
]
_RoleName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$|^\$\{Token\[.+\]\}$",
        description="the name of an IAM role of this account, without its path (not an ARN)",
    ),
]
_TagValue = Annotated[str, Field(max_length=256)]
_MAX_POLICY_CHARACTERS = 1000
_OF_IDENTITY_CENTER = "AWSReservedSSO_"


class SubmitterSettings(SettingsModel):
    """A managed policy of IAM that allows submitting jobs.

    It allows submitting its jobs, in any revision, to their queues, and describing the jobs of every queue,
    because AWS has no narrower permission. `tags` allows more.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_manage-attach-detach.html
    """

    jobs: Annotated[list[str], Field(min_length=1)] | None = None
    """The jobs that may be submitted; by default all."""
    tiers: Annotated[list[str], Field(min_length=1)] | None = None
    """The tiers that they may be submitted to; by default all tiers of the jobs. IAM authorises job and queue
    separately: each job may go to all queues of all the jobs. To keep pairs apart, use two submitters for
    different roles."""
    shares: list[_Share] = []
    """The share identifiers that jobs may have in tiers with fair share; one that ends in `*` allows all with
    this prefix. By default any."""
    tags: Annotated[dict[NonEmpty, _TagValue], Field(max_length=50)] = {}
    """Tags that may be put on jobs, with these values only, at submission or later. Jobs with all these tags
    may be cancelled and terminated; without `tags` no job may. A job that has one of the keys with another
    value is protected, a job that has none of them is not: give each team its own value.
    https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html"""
    roles: Annotated[list[_RoleName], Field(max_length=100)] = []
    """Names of IAM roles of this account to which the policy is attached. Attach it to others by its ARN, an
    output of the stack: users, groups, permission sets of IAM Identity Center, and roles that are managed
    elsewhere. Roles of other accounts have to assume a role of this account."""

    @model_validator(mode="after")
    def _each_once(self) -> SubmitterSettings:
        for section in ("jobs", "tiers", "shares", "roles"):
            names: list[str] = getattr(self, section) or []
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise ValueError(
                        f"{section}[{index}] must differ from those before it, got {name!r} again"
                    )
        return self

    @model_validator(mode="after")
    def _roles_take_policies(self) -> SubmitterSettings:
        for index, role in enumerate(self.roles):
            if role.startswith(_OF_IDENTITY_CENTER):
                raise ValueError(
                    f"roles[{index}] must not be a role of IAM Identity Center, which only its permission "
                    f"set can change, got {role!r}: name the policy, an output of the stack, there"
                )
        return self

    @model_validator(mode="after")
    def _tags_are_allowed(self) -> SubmitterSettings:
        for key in self.tags:
            if len(key) > 128 or key.lower().startswith("aws:"):
                raise ValueError(
                    f"tags must have keys of 1 to 128 characters that do not begin with aws:, got {key!r}"
                )
        return self

    @model_validator(mode="after")
    def _fits_a_policy(self) -> SubmitterSettings:
        # `Submitter` writes each tag into two conditions on tagging and one on stopping jobs, and each key a
        # fourth time. It writes each share once, because CDK merges statements with the same condition.
        shares = sum(len(share) + len('"",') for share in self.shares)
        tags = sum(4 * len(key) + 3 * len(value) + 68 for key, value in self.tags.items())
        if shares + tags > _MAX_POLICY_CHARACTERS:
            place = "tags" if tags > shares else "shares"
            raise ValueError(
                f"{place} must leave room for eight jobs in a policy, of which IAM takes 6144 characters: "
                f"shares and tags may take {_MAX_POLICY_CHARACTERS} together, got {shares} of shares and "
                f"{tags} of tags, in which a key counts four times and a value three times"
            )
        return self
