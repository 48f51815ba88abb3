"""The environment that a job finds, as AWS Batch and ECS give it.

https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batch_engine.core.model.jobs import Job
from batch_engine.core.model.resources import Platform


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of this machine every job is told."""

    endpoint_url: str
    region: str
    path: str


def jobs_path(executable: str, inherited: str) -> str:
    """Where jobs that are processes look for programs.

    The user's own order counts: who activates another environment than the server's (a workflow manager's,
    say) has its ``python`` found. The server's comes first only where the user's PATH does not name it at
    all, so that the workers' console scripts beside it are always found.

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
    around: Surroundings,
    credentials_url: str | None,
) -> dict[str, str]:
    """Everything in the environment of a job that is a process: nothing of the server's own leaks into it.

    The image's variables come first, then the job's, then those that Batch and ECS set.

    Args:
        job: the job, placed.
        image_environment: what the image's ENV says.
        scratch: the job's own folder: HOME and TMPDIR point into it. An image's PATH, HOME and TMPDIR name
            places inside the container and are left out.
        around: the machine.
        credentials_url: where the SDKs fetch the job role's credentials; None for a job without a role.
    """
    inside_container = ("PATH", "HOME", "TMPDIR")
    return {
        "PATH": around.path,
        "HOME": scratch,
        "TMPDIR": os.path.join(scratch, "tmp"),
        "LANG": "C.UTF-8",
        **{name: value for name, value in image_environment.items() if name not in inside_container},
        **container_environment(job, around, credentials_url),
    }


def container_environment(job: Job, around: Surroundings, credentials_url: str | None) -> dict[str, str]:
    """What a container's environment holds beside the image's own.

    The job's variables come first, then those that Batch and ECS set. Region variables are set on Fargate
    only, as in AWS: a job that forgets its Region must fail here, too.
    """
    variables = {
        **{variable["name"]: variable["value"] for variable in job.container["environment"]},
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(job.attempt.number),
        "AWS_BATCH_CE_NAME": job.attempt.compute_environment,
        "AWS_BATCH_JQ_NAME": job.queue,
        "AWS_EXECUTION_ENV": f"AWS_ECS_{job.platform}",
        "AWS_ENDPOINT_URL": around.endpoint_url,
        # There is no instance behind the job, so the SDKs need not wait for its metadata service.
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
        variables |= {"AWS_REGION": around.region, "AWS_DEFAULT_REGION": around.region}
    if credentials_url is not None:
        variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = credentials_url
    return variables
