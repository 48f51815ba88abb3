"""The type of a job queue: it must agree with the environments of the queue.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
"""

from batch_engine.core.api.context import CallContext
from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import ComputeEnvironment, Platform
from batch_engine.core.model.wire import Wire

SAGEMAKER_TRAINING = "SAGEMAKER_TRAINING"
SAGEMAKER_ONLY = "Quota Management feature is only supported for SageMaker Training job queues."
TYPES = ("EKS", "ECS", "ECS_FARGATE", SAGEMAKER_TRAINING, "ECS_MANAGED_INSTANCES")
MAX_SERVICE_ENVIRONMENTS = 1


def service_order(context: CallContext, wire: list[Wire]) -> list[str]:
    """Returns the service environments by name.

    Raises:
        ClientError: there is more than one, or one does not exist.
    """
    if len(wire) > MAX_SERVICE_ENVIRONMENTS:
        raise ClientError(
            f"Job Queue must have at most {MAX_SERVICE_ENVIRONMENTS} service environment, got {len(wire)}"
        )
    names = []
    for entry in wire:
        environment = context.find_service_environment(entry["serviceEnvironment"])
        if environment is None:
            raise ClientError(f"Service Environment {entry['serviceEnvironment']} does not exist")
        names.append(environment.name)
    return names


def check_type(
    context: CallContext, given: str | None, environments: list[str], services: list[str]
) -> str | None:
    """Returns the requested type of a queue, after a check against the queue's environments.

    Raises:
        ClientError: the type is unknown, or does not agree with the environments.
    """
    if given is not None and given not in TYPES:
        raise ClientError(f"jobQueueType must be one of {', '.join(TYPES)}, got {given}")
    if bool(services) != (given == SAGEMAKER_TRAINING):
        raise ClientError(
            f"jobQueueType {SAGEMAKER_TRAINING} and serviceEnvironmentOrder go together, got {given}"
        )
    for name in environments:
        environment = context.registry.compute_environments[name]
        if given is not None and given != (actual := _type_of(environment)):
            raise ClientError(
                f"jobQueueType {given} does not match compute environment {name} of type {actual}"
            )
    return given


def _type_of(environment: ComputeEnvironment) -> str:
    if environment.eks:
        return "EKS"
    if environment.resources.get("type") == "ECS_MANAGED_INSTANCES":
        return "ECS_MANAGED_INSTANCES"
    return "ECS_FARGATE" if environment.platform is Platform.FARGATE else "ECS"
