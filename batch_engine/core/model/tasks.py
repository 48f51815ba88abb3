"""The ECS task of an attempt. Its id follows from the job and the attempt: it is computed when it is shown.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
"""

from hashlib import blake2b

from batch_engine.core.model.jobs import Attempt, Job

_ID_BYTES = 16


def task_id(job: Job, attempt: Attempt) -> str:
    """Returns 32 hexadecimal digits, the same ones for the same attempt of the same job.

    Args:
        job: the job; a multi-node parallel job has no task of its own and shows that of its main node.
        attempt: one of its attempts.
    """
    if attempt.task_id is not None:
        return attempt.task_id
    owner = f"{job.id}#{job.main_node}" if job.is_gang else job.id
    return blake2b(f"{owner} {attempt.number}".encode(), digest_size=_ID_BYTES).hexdigest()


def task_arn(job: Job, attempt: Attempt) -> str:
    """Returns the ARN of an attempt's task, in the cluster of its compute environment."""
    return f"{attempt.cluster_arn.replace(':cluster/', ':task/', 1)}/{task_id(job, attempt)}"
