"""The types of images, their repositories and tags, and the users of containers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

_TOKEN = r"^\S*\$\{Token\[[^\]\s]+\]\}\S*$"  # noqa: S105 - what only the deployment knows, in Python
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(/{_PART})*"
_HOST = r"((localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)(:\d+)?|[A-Za-z0-9-]+:\d+)"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"

PRIVATE_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
    r"/(?P<name>[a-z0-9._/-]+)(:(?P<tag>[\w.-]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""An image of a private registry of Amazon ECR, of any account."""
ImageReference = Annotated[
    str,
    Field(
        # https://pkg.go.dev/github.com/distribution/reference, which Docker and containerd read it with.
        pattern=rf"^({_HOST}/)?{_PATH}(:{_TAG})?(@{_DIGEST})?$|{_TOKEN}",
        max_length=255,
        description=(
            "an image of at most 255 characters, with a tag or a digest: busybox:1.37, "
            "quay.io/team/tool:2, team/tool@sha256:..."
        ),
    ),
]
Repository = Annotated[
    str,
    Field(
        pattern=rf"^{_PATH}$|^arn:[a-z-]+:ecr:[a-z0-9-]+:\d{{12}}:repository/{_PATH}$|{_TOKEN}",
        min_length=2,
        max_length=320,
        description=(
            "the name of an ECR repository (lower-case letters, digits and -_./, such as team/tool; its tag "
            "goes under `tag`) or its ARN"
        ),
    ),
]
ImageTag = Annotated[
    str,
    Field(
        pattern=rf"^({_TAG}|{_DIGEST})$|{_TOKEN}",
        description=(
            "a tag of at most 128 letters, digits and _.-, or a digest (sha256: and 64 hexadecimal digits)"
        ),
    ),
]
ContainerUser = Annotated[
    str,
    Field(
        pattern=rf"^{_NAME}(:{_NAME})?$",
        description="user or user:group, each a name or a number: app, 1000, 1000:1000",
    ),
]
LARGEST_ID = 2**31 - 1
"""The largest id of users and groups in container runtimes."""
