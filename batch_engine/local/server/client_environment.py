"""The variables that point the AWS CLI, the SDKs and the CDK at a local cloud, and away from AWS."""

from collections.abc import Mapping

# Access keys of twelve digits would choose another account than the server's.
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_IN_THE_WAY = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


def to_set(endpoint_url: str, region: str) -> dict[str, str]:
    """Lists the variables to set.

    Args:
        endpoint_url: the URL of the local cloud.
        region: the AWS Region of the local cloud.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        **_CREDENTIALS,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }


def to_unset(inherited: Mapping[str, str]) -> list[str]:
    """Lists the variables in an environment that would lead a client away from the local cloud."""
    return sorted(name for name in inherited if name in _IN_THE_WAY or name.startswith("AWS_ENDPOINT_URL_"))


def client_environment(endpoint_url: str, region: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """Composes the whole environment for a client's process.

    Args:
        endpoint_url: the URL of the local cloud.
        region: the AWS Region of the local cloud.
        inherited: the environment to start from.
    """
    leading_elsewhere = set(to_unset(inherited))
    kept = {name: value for name, value in inherited.items() if name not in leading_elsewhere}
    return kept | to_set(endpoint_url, region)
