"""What the parts of the settings have in common: their base class and the types of single values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Architecture = Literal["x86_64", "arm64"]
Platform = Literal["ec2", "fargate", "managed_instances", "eks"]
"""What a compute environment runs jobs on; a job definition is made for one of them."""
OnDelete = Literal["retain", "destroy"]
State = Literal["enabled", "disabled"]
LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

MaxVcpus = Annotated[int, Field(ge=1, le=100_000)]
Attempts = Annotated[int, Field(ge=1, le=10)]
ExpiryDays = Annotated[int, Field(ge=1, le=3650)]
AbsolutePath = Annotated[
    str, Field(pattern=r"^/[^\s:]*$", description="an absolute path without spaces and colons")
]
# In Python an ARN may be one that only the deployment knows: a token of CDK.
_DEPLOYED = r"^\$\{Token\[.+\]\}$"
_IN_REGION = r"[a-z0-9-]+:\d{12}"
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Arn = Annotated[str, Field(pattern=rf"^arn:[a-z-]+:[^\s]+$|{_DEPLOYED}", description="an ARN")]
ComputeEnvironmentArn = Annotated[
    str,
    Field(
        pattern=rf"^arn:[a-z-]+:batch:{_IN_REGION}:compute-environment/[^\s/]+$|{_DEPLOYED}",
        description="the ARN of a compute environment",
    ),
]
KeyArn = Annotated[
    str,
    Field(
        pattern=rf"^arn:[a-z-]+:kms:{_IN_REGION}:key/({_UUID}|mrk-[0-9a-f]{{32}})$|{_DEPLOYED}",
        description="the ARN of a KMS key (not of an alias)",
    ),
]
TopicArn = Annotated[
    str,
    Field(
        pattern=rf"^arn:[a-z-]+:sns:{_IN_REGION}:[A-Za-z0-9_-]{{1,256}}$|{_DEPLOYED}",
        description="the ARN of a standard SNS topic (arn:aws:sns:...)",
    ),
]
PolicyArn = Annotated[
    str,
    Field(
        pattern=rf"^arn:[a-z-]+:iam::(\d{{12}}|aws):policy/[A-Za-z0-9_+=,.@/-]+$|{_DEPLOYED}",
        description="the ARN of a managed policy of IAM",
    ),
]
Share = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9]{1,255}$", description="a share identifier of letters and digits")
]
SHARE_OR_PREFIX = re.compile(r"[A-Za-z0-9]{1,255}|[A-Za-z0-9]{0,254}\*")
"""What CreateSchedulingPolicy takes as a shareIdentifier."""
NonEmpty = Annotated[str, Field(min_length=1, description="text of at least one character")]


class SettingsError(ValueError):
    """The settings cannot be used; the message names the file, the field, the value and what is allowed."""


class _Told(type(BaseModel)):  # type: ignore[misc]
    """Has what is wrong with settings that are made in Python said as it is of those of a file."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            # Here, because the wording needs all settings, which need this class.
            from batch_stack.settings.wording import problems_of  # noqa: PLC0415

            problems = problems_of(error, cls)
            raise SettingsError("\n  ".join([f"{cls.__name__}: {problems[0]}", *problems[1:]])) from None


if TYPE_CHECKING:
    _Base = BaseModel
else:

    class _Base(BaseModel, metaclass=_Told):
        pass


class SettingsModel(_Base):
    """Settings cannot be changed once they are checked, and know no field but their own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
