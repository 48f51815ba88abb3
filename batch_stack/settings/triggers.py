"""Settings of triggers, and the environment of the function that submits their jobs: Lambda takes 4 KB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import Share

MAX_ENVIRONMENT_BYTES = 4096
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

# The longest values that a deployment can set: ARNs with the longest name of a Region, the longest name of a
# bucket, and the longest generated names.
_BATCH_ARN = "arn:aws-us-gov:batch:ap-southeast-99:123456789012:"
_DEPLOYED = {
    "JOB_QUEUE": f"{_BATCH_ARN}job-queue/{'x' * 128}",
    "JOB_DEFINITION": f"{_BATCH_ARN}job-definition/{'x' * 128}",
    "OUTPUT_BUCKET": "x" * 63,
    "ARRAY_SIZE": "10000",
}


def check_texts(parameters: Mapping[str, str], *, at: str) -> None:
    """Checks that parameters are texts, as SubmitJob takes them.

    Args:
        parameters: the parameters, by their names.
        at: the path for the error.

    Raises:
        ValueError: a value is not a text.
    """
    for name, value in parameters.items():
        if not isinstance(value, str):
            raise ValueError(f"parameters.{name} must be a text, got {value!r} at {at}")


def overlap(prefix: str, output_prefix: str) -> bool:
    """Whether results below `output_prefix` are objects below `prefix`, or the other way round."""
    return output_prefix.startswith(prefix) or prefix.startswith(output_prefix)


class TriggerSettings(SettingsModel):
    """A trigger, which submits a job for each object that is created under a prefix of the input bucket."""

    prefix: Annotated[str, Field(max_length=1024)] = ""
    """The prefix of the keys of these objects; by default every object counts."""
    job: str
    """The job that is submitted, once for each object."""
    tier: str = "standard"
    """The tier that the job is submitted to, of the job's platform."""
    share: Share | None = None
    """The share identifier of the jobs, for a tier with a fair-share policy."""
    parameters: dict[str, str] = {}
    """Values of the command's `Ref::` placeholders; the trigger sets `input` and `output`."""
    output_prefix: Annotated[
        str,
        Field(
            pattern=r"^([^\s/][^\s]*/)?$",
            max_length=512,
            description="a prefix of keys that ends in /, and begins with none",
        ),
    ] = ""
    """The prefix in the output bucket below which the job writes, before the folder of the object's key."""

    @model_validator(mode="after")
    def _own_parameters(self) -> TriggerSettings:
        for name in ("input", "output"):
            if name in self.parameters:
                raise ValueError(f"parameters must not set {name!r}, which the trigger sets")
        check_parameters_fit(self.share, self.parameters, self.output_prefix)
        return self


def trigger_options(
    *,
    array_size: int | None,
    share: str | None,
    parameters: Mapping[str, str],
    output_prefix: str,
    retry: str | None = None,
) -> dict[str, str]:
    """Returns the optional environment variables of the function, which its handler.py reads.

    Args:
        array_size: the number of children of an array; None for a job that is no array.
        share: the share identifier of its jobs, if any.
        parameters: more parameters of the job, by their names.
        output_prefix: the prefix of the folder in the output bucket.
        retry: the `retryStrategy` of its jobs as JSON; by default the job definition's.
    """
    given = {
        "OUTPUT_PREFIX": output_prefix,
        "SHARE_IDENTIFIER": share,
        "ARRAY_SIZE": str(array_size) if array_size is not None else None,
        "PARAMETERS": json.dumps(parameters, sort_keys=True) if parameters else None,
        "RETRY_STRATEGY": retry,
    }
    return {name: value for name, value in given.items() if value}


def check_parameters_fit(
    share: str | None, parameters: Mapping[str, str], output_prefix: str, retry: str | None = None
) -> None:
    """Checks that the options of a trigger fit into the function's environment.

    Args:
        share: the share identifier of its jobs, if any.
        parameters: more parameters of the job, by their names.
        output_prefix: the prefix of the folder in the output bucket.
        retry: the `retryStrategy` of its jobs as JSON; by default the job definition's.

    Raises:
        ValueError: the parameters or the retry policy are too long.
    """
    bare = _environment_bytes(share, {}, output_prefix, None)
    policy = _environment_bytes(share, {}, output_prefix, retry) - bare
    if bare + policy > MAX_ENVIRONMENT_BYTES:
        raise ValueError(
            f"tier must be one whose retry policy takes at most {MAX_ENVIRONMENT_BYTES - bare} bytes as JSON "
            "in JSON, because it is passed to a function whose environment takes at most "
            f"{MAX_ENVIRONMENT_BYTES} bytes, got {policy}: give the policy to the job instead"
        )
    takes = _environment_bytes(share, parameters, output_prefix, retry) - bare - policy
    if bare + policy + takes > MAX_ENVIRONMENT_BYTES:
        raise ValueError(
            f"parameters must take at most {MAX_ENVIRONMENT_BYTES - bare - policy} bytes as JSON in JSON, "
            "because they are passed to a function whose environment takes at most "
            f"{MAX_ENVIRONMENT_BYTES} bytes, "
            f"got {takes}"
        )


def _environment_bytes(
    share: str | None, parameters: Mapping[str, str], output_prefix: str, retry: str | None
) -> int:
    """Returns the size as Lambda measures it: the variables as one JSON object."""
    options = trigger_options(
        array_size=None, share=share, parameters=parameters, output_prefix=output_prefix, retry=retry
    )
    text = json.dumps({**_DEPLOYED, **options}, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())
