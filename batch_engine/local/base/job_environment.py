"""The environment variables of a job, as AWS Batch and ECS set them.

https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import Platform


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The facts about this machine that every job receives."""

    endpoint_url: str
    region: str
    path: str


def jobs_path(executable: str, inherited: str) -> str:
    """Returns the PATH of jobs that are processes.

    The user's own order counts: after the activation of another environment, such as a workflow manager's,
    jobs find the ``python`` of that environment. The folder of the server's Python comes first only if PATH
    does not have it, so that jobs always find the workers' console scripts beside it.

    Args:
        executable: the server's interpreter.
        inherited: the PATH that the server was started with.
    """
    own = str(Path(executable).parent)
    return inherited if own in inherited.split(os.pathsep) else os.pathsep.join([own, inherited])


def job_environment(
    job: Job,
    image_environment: Mapping[str, str],
    scratch: str,
    host: HostFacts,
    credentials_url: str | None,
) -> dict[str, str]:
    """Returns the whole environment of a job that is a process. It has none of the server's variables.

    The job's variables override the image's, and those that Batch and ECS set override both.

    Args:
        job: the job, after its placement.
        image_environment: the variables of the image's ENV. Its PATH, HOME and TMPDIR name places inside the
            container and are left out.
        scratch: the job's own folder; HOME and TMPDIR point into it.
        host: the facts about this machine.
        credentials_url: the URL of the job role's credentials; None for a job without a role.
    """
    inside_container = ("PATH", "HOME", "TMPDIR")
    return {
        "PATH": host.path,
        "HOME": scratch,
        "TMPDIR": os.path.join(scratch, "tmp"),
        "LANG": "C.UTF-8",
        **{name: value for name, value in image_environment.items() if name not in inside_container},
        **container_environment(job, host, credentials_url),
    }


def container_environment(job: Job, host: HostFacts, credentials_url: str | None) -> dict[str, str]:
    """Returns the variables of a container beside those of its image.

    The variables that Batch and ECS set override the job's. Region variables are set on Fargate only, as on
    AWS: a job that needs a Region and does not set it must fail here, too.
    """
    variables = {
        **{variable["name"]: variable["value"] for variable in job.container["environment"]},
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(job.attempt.number),
        "AWS_BATCH_CE_NAME": job.attempt.compute_environment,
        "AWS_BATCH_JQ_NAME": job.queue,
        "AWS_EXECUTION_ENV": f"AWS_ECS_{job.platform}",
        "AWS_ENDPOINT_URL": host.endpoint_url,
        # The job runs on no EC2 instance, so the SDKs need not wait for a metadata service.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if job.array_index is not None:
        variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.array_index)
        variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.array_size)
    if job.node_index is not None:
        variables["AWS_BATCH_JOB_MAIN_NODE_INDEX"] = str(job.main_node)
        variables["AWS_BATCH_JOB_NODE_INDEX"] = str(job.node_index)
        variables["AWS_BATCH_JOB_NUM_NODES"] = str(job.num_nodes)
        if job.node_index != job.main_node:
            address = job.attempt.main_private_ipv4 or ""
            variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = address
    if job.platform is Platform.FARGATE:
        variables |= {"AWS_REGION": host.region, "AWS_DEFAULT_REGION": host.region}
    if credentials_url is not None:
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = credentials_url
    return variables
