"""Sets the environment variables of the local cloud, and so of the Lambda functions that it starts."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

# The services that a batch platform needs; MiniStack has many more. Names are as in SigV4 credential scopes.
SERVICES = (
    "autoscaling",
    "batch",
    "budgets",
    "cloudformation",
    "dynamodb",
    "dynamodbstreams",
    "ec2",
    "ecr",
    "ecs",
    "elasticfilesystem",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "pipes",
    "s3",
    "scheduler",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "states",
    "sts",
    "tagging",
)

# The user's settings for AWS and for emulators must not reach this process.
_FOREIGN_PREFIXES = ("AWS_", "BOTO_", "LAMBDA_", "LOCALSTACK_", "MINISTACK_", "S3_")
_FOREIGN_NAMES = frozenset(
    {
        "AUTH",
        "BIND_HOST",
        "EDGE_PORT",
        "GATEWAY_PORT",
        "LOG_LEVEL",
        "PERSIST_STATE",
        "SERVICES",
        "SFTP_ENABLED",
        "STATE_DIR",
        "USE_SSL",
    }
)


def environment(
    *,
    port: int,
    data_dir: Path,
    account: str,
    region: str,
    log_level: str,
    enforce_iam: bool = False,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Returns the whole environment of the server's process.

    Args:
        port: the endpoint's port on 127.0.0.1.
        data_dir: the folder of all data.
        account: the 12-digit AWS account of all resources.
        region: the AWS Region.
        log_level: a level of Python's `logging`, for MiniStack's messages.
        enforce_iam: whether the policies of its signer decide about each request.
        inherited: the environment to start from; its AWS settings and credentials are dropped.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _FOREIGN_NAMES and not name.startswith(_FOREIGN_PREFIXES)
    }
    auth = {"AUTH": "true"} if enforce_iam else {}
    return (
        kept
        | auth
        | {
            # The SDK in a Lambda function must find neither the user's profile nor the role of an instance.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": log_level,
            "MINISTACK_ACCOUNT_ID": account,
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": region,
            "PERSIST_STATE": "1",
            "S3_DATA_DIR": str(data_dir / "s3"),
            "S3_PERSIST": "1",
            "SERVICES": ",".join(SERVICES),
            "SFTP_ENABLED": "0",
            "STATE_DIR": str(data_dir / "state"),
            "TMPDIR": str(data_dir / "batch-stack-tmp"),
        }
    )


def take_over_the_process(
    *, port: int, data_dir: Path, account: str, region: str, log_level: str, enforce_iam: bool = False
) -> None:
    """Sets the environment of this process, which MiniStack reads on import, and empties its scratch folder.

    Args:
        port: the endpoint's port on 127.0.0.1.
        data_dir: the folder of all data, as an absolute path.
        account: the 12-digit AWS account of all resources.
        region: the AWS Region.
        log_level: a level of Python's `logging`, for MiniStack's messages.
        enforce_iam: whether the policies of its signer decide about each request.
    """
    variables = environment(
        port=port,
        data_dir=data_dir,
        account=account,
        region=region,
        log_level=log_level,
        enforce_iam=enforce_iam,
        inherited=os.environ,
    )
    os.environ.clear()
    os.environ.update(variables)
    # MiniStack unpacks functions into the temporary folder, and a killed server leaves them there.
    scratch = Path(variables["TMPDIR"])
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)
    tempfile.tempdir = str(scratch)
    for name in ("STATE_DIR", "S3_DATA_DIR"):
        Path(variables[name]).mkdir(mode=0o700, exist_ok=True)
