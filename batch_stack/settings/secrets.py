"""Settings of secrets, which jobs get as environment variables."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from batch_stack.settings.base.model import SettingsModel
from batch_stack.settings.base.values import KeyArn, NonEmpty

_SECRET_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^:\s]+")
_PARAMETER_ARN = re.compile(r"arn:[a-z-]+:ssm:[a-z0-9-]+:\d{12}:parameter/[^:\s]+")
_FORM_OF_SECRETS = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX"
_FORM_OF_PARAMETERS = "arn:aws:ssm:REGION:ACCOUNT:parameter/NAME"
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_PARAMETER_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_LIKE_A_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")


class SecretSettings(SettingsModel):
    """The value of an environment variable that is in Secrets Manager or in the SSM Parameter Store.

    https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html
    """

    secret: NonEmpty | None = None
    """The name of a secret in Secrets Manager, or its ARN. Give either `secret` or `parameter`."""
    field: Annotated[str, Field(pattern=r"^[^:\s]+$", description="a key of a JSON object")] | None = None
    """A key of a secret that is a JSON object; by default the value is the whole secret."""
    parameter: NonEmpty | None = None
    """The name of a parameter in the SSM Parameter Store, or its ARN."""
    kms_key_arn: KeyArn | None = None
    """The customer managed key that encrypts it; not needed for keys that AWS owns or manages."""

    @model_validator(mode="after")
    def _one_source(self) -> SecretSettings:
        if (self.secret is None) == (self.parameter is None):
            raise ValueError("secret or parameter must be given, one of the two")
        if self.field is not None and self.secret is None:
            raise ValueError(f"field must not be given without secret, got {self.field!r}")
        if self.secret is not None:
            self._check_secret(self.secret)
        name = self.parameter
        allowed = _PARAMETER_ARN if (name or "").startswith("arn:") else _PARAMETER_NAME
        if name is not None and not allowed.fullmatch(name):
            raise ValueError(
                f"parameter must be a name (letters, digits and _.-/) or the ARN of a parameter, "
                f"{_FORM_OF_PARAMETERS}, without a version, got {name!r}{_hint_for_other(name, 'ssm')}"
            )
        return self

    @staticmethod
    def _check_secret(name: str) -> None:
        if name.startswith("arn:"):
            if not _SECRET_ARN.fullmatch(name):
                raise ValueError(
                    f"secret must be a name or the ARN of a secret, {_FORM_OF_SECRETS}, without a key (which "
                    f"is `field`) or a version, got {name!r}{_hint_for_other(name, 'secretsmanager')}"
                )
        elif not _SECRET_NAME.fullmatch(name):
            raise ValueError(
                f"secret must be a name (letters, digits and /_+=.@-) or the ARN of a secret, got {name!r}"
            )
        elif _LIKE_A_SUFFIX.search(name):
            # Secrets Manager would take the end of such a name for the suffix of an ARN, and find nothing.
            raise ValueError(
                "secret must be an ARN if its name ends in a hyphen and six characters "
                f"({_FORM_OF_SECRETS}), got {name!r}"
            )


def _hint_for_other(arn: str, own: str) -> str:
    """Returns a hint if the ARN belongs to the other of the two services, else an empty string."""
    field = {"ssm": "parameter", "secretsmanager": "secret"}
    service = next((part for part in arn.split(":")[2:3] if part in field and part != own), None)
    return f": write `{field[service]}:` for it" if service is not None else ""
