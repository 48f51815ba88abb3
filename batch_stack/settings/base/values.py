"""The types of single values that several sections of the settings have."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

Architecture = Literal["x86_64", "arm64"]
PlatformCapability = Literal["ec2", "fargate", "managed_instances", "eks"]
"""The resources on which a compute environment runs jobs. A job definition is made for one:
`platformCapabilities`."""
OnDelete = Literal["retain", "destroy"]
State = Literal["enabled", "disabled"]
LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]

MaxVcpus = Annotated[int, Field(ge=1, le=100_000)]
Attempts = Annotated[int, Field(ge=1, le=10)]
Vcpu = Annotated[float, Field(ge=0.25, le=448)]
MemoryMib = Annotated[int, Field(ge=4, le=25_165_824)]
Gpus = Annotated[int, Field(ge=0, le=16)]
Variable = Annotated[str, Field(max_length=32_768)]
ExpiryDays = Annotated[int, Field(ge=1, le=3650)]
AbsolutePath = Annotated[
    str, Field(pattern=r"^/[^\s:]*$", description="an absolute path without spaces and colons")
]
# In Python an ARN may be a token of CDK, whose value only the deployment knows.
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
SHARE = re.compile(r"[A-Za-z0-9]{1,255}")
SHARE_OR_PREFIX = re.compile(r"[A-Za-z0-9]{1,255}|[A-Za-z0-9]{0,254}\*")
"""The share identifiers and prefixes that CreateSchedulingPolicy takes."""
NonEmpty = Annotated[str, Field(min_length=1, description="text of at least one character")]
