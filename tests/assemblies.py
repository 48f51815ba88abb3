"""Cloud assemblies on a local cloud, as ``cdk bootstrap`` and ``cdk deploy`` put them there."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack

_BUCKET = "cdk-hnb659fds-assets-000000000000-us-east-1"


def bootstrap(cloud: LocalCloud) -> None:
    """Make what every deployment finds in its account: a bucket for assets, and the bootstrap's version."""
    cloud.client("s3").create_bucket(Bucket=_BUCKET)
    cloud.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")


def deploy(cloud: LocalCloud, assembly: Path) -> Stack:
    """Publish a stack's assets and begin to create it.

    Args:
        cloud: a cloud that has been bootstrapped.
        assembly: the folder that was synthesised, with one stack.
    """
    (file,) = assembly.glob("*.template.json")
    name, s3 = file.name.removesuffix(".template.json"), cloud.client("s3")
    manifest = json.loads((assembly / f"{name}.assets.json").read_text(encoding="utf-8"))
    for asset in manifest["files"].values():
        path, (destination,) = assembly / asset["source"]["path"], asset["destinations"].values()
        body = _zipped(path) if path.is_dir() else path.read_bytes()
        s3.put_object(Bucket=_BUCKET, Key=destination["objectKey"], Body=body)
    # Longer than what a request of CloudFormation may hold.
    s3.put_object(Bucket=_BUCKET, Key=name, Body=file.read_bytes())
    stack = Stack(cloud, name)
    stack.cloudformation.create_stack(
        StackName=name,
        TemplateURL=f"{cloud.record.endpoint_url}/{_BUCKET}/{name}",
        Capabilities=["CAPABILITY_IAM"],
    )
    return stack


def physical_id(stack: Stack, prefix: str) -> str:
    """That of the one resource of a stack whose logical id is this and CDK's hash."""
    pages = stack.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    found = [one for page in pages for one in page["StackResourceSummaries"]]
    (one,) = (one["PhysicalResourceId"] for one in found if one["LogicalResourceId"][:-8] == prefix)
    return str(one)


def _zipped(folder: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)
    return archive.getvalue()
