"""The answers of the Describe and List operations."""

from typing import Any

from batch_engine.core.api.environment_checks import default_images
from batch_engine.core.model.jobs import Attempt, Job, RetryStrategy
from batch_engine.core.model.log_destination import log_stream
from batch_engine.core.model.resources import ComputeEnvironment, JobDefinition, JobQueue, SchedulingPolicy
from batch_engine.core.model.tasks import task_arn
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import ecs_tasks
from batch_engine.core.state.registry import Registry


def _present(**members: Any) -> Wire:
    """Returns the members that are not None: AWS leaves out the others."""
    return {name: value for name, value in members.items() if value is not None}


def retry_strategy(strategy: RetryStrategy) -> Wire:
    """Returns ``retryStrategy`` as DescribeJobs shows it."""
    entries = [
        _present(
            onStatusReason=entry.on_status_reason,
            onReason=entry.on_reason,
            onExitCode=entry.on_exit_code,
            action=entry.action.value,
        )
        for entry in strategy.evaluate_on_exit
    ]
    return {"attempts": strategy.attempts, "evaluateOnExit": entries}


def _outcome(job: Job, attempt: Attempt, registry: Registry) -> Wire:
    """Returns the task of an attempt and its end; for a multi-node parallel job, those of its main node."""
    ran = registry.jobs[f"{job.id}#{job.main_node}"] if job.is_gang else job
    return _present(
        containerInstanceArn=attempt.container_instance_arn,
        taskArn=task_arn(job, attempt),
        logStreamName=log_stream(ran, attempt),
        exitCode=attempt.exit_code,
        reason=attempt.reason,
    )


def _attempt(job: Job, attempt: Attempt, registry: Registry) -> Wire:
    container = _outcome(job, attempt, registry)
    container["networkInterfaces"] = _network_interfaces(attempt)
    task = None if job.ecs_container is None else ecs_tasks.attempt_details(job, container)
    return {
        "container": container if task is None else {},
        **_present(
            taskProperties=task,
            startedAt=attempt.started_at_ms,
            stoppedAt=attempt.stopped_at_ms,
            statusReason=attempt.status_reason,
        ),
    }


def _container(job: Job, registry: Registry) -> Wire:
    """Returns the job's container or its ECS task, with the outcome of the latest attempt."""
    latest = job.attempts[-1] if job.attempts else None
    if job.is_gang:
        return {}
    outcome = {} if latest is None else _outcome(job, latest, registry)
    if job.ecs_container is not None:
        return {"ecsProperties": ecs_tasks.task_details(job, outcome)}
    interfaces = _network_interfaces(latest)
    return {"container": {**job.container, **outcome, "networkInterfaces": interfaces}}


def job_detail(job: Job, registry: Registry) -> Wire:
    """Returns one job as DescribeJobs shows it, and as the state-change event carries it."""
    finished = [attempt for attempt in job.attempts if attempt.stopped_at_ms is not None]
    return {
        "jobArn": job.arn,
        "jobName": job.name,
        "jobId": job.id,
        "jobQueue": queue_arn(job.queue, registry),
        "status": job.status.value,
        "attempts": [_attempt(job, attempt, registry) for attempt in finished],
        "createdAt": job.created_at_ms,
        "retryStrategy": retry_strategy(job.retry),
        "dependsOn": [_present(jobId=item.job_id, type=item.type) for item in job.depends_on],
        "jobDefinition": job.definition_arn,
        "parameters": job.parameters,
        **_container(job, registry),
        "tags": {"resourceArn": job.arn, **job.tags},
        "propagateTags": job.propagate_tags,
        "platformCapabilities": _capabilities(job, registry),
        **_present(
            statusReason=job.status_reason,
            startedAt=job.started_at_ms,
            stoppedAt=job.stopped_at_ms,
            schedulingPriority=job.scheduling_priority,
            arrayProperties=_array_properties(job, registry),
            nodeProperties=job.node_properties if job.is_gang else None,
            nodeDetails=_node_details(job),
            shareIdentifier=job.share_identifier,
            consumableResourceProperties=_consumables(job),
            timeout=None if job.timeout_s is None else {"attemptDurationSeconds": job.timeout_s},
            isCancelled=job.is_cancelled or None,
            isTerminated=job.is_terminated or None,
        ),
    }


def _capabilities(job: Job, registry: Registry) -> list[str]:
    """Returns the capabilities of the definition; MANAGED_INSTANCES is a kind of EC2 for the core."""
    name, _, revision = job.definition_arn.rpartition("/")[2].rpartition(":")
    definition = registry.job_definitions.get(name, {}).get(int(revision or 0))
    said = None if definition is None else definition.body.get("platformCapabilities")
    return list(said) if said else [job.platform.value]


def _consumables(job: Job) -> Wire | None:
    listed = [{"consumableResource": name, "quantity": count} for name, count in job.consumables.items()]
    return {"consumableResourceList": listed} if listed else None


def _array_properties(job: Job, registry: Registry) -> Wire | None:
    """Returns the size and the status counts of an array's parent, or the index of a child."""
    if job.array_index is not None:
        return {"index": job.array_index}
    run = registry.arrays.get(job.id)
    if run is None:
        return None
    summary = {status.value: count for status, count in run.counts.items()}
    return {
        "size": run.size,
        "statusSummary": summary,
        "statusSummaryLastUpdatedAt": run.updated_at_ms,
    }


def _node_details(job: Job) -> Wire | None:
    if job.node_index is None:
        return None
    return {"nodeIndex": job.node_index, "isMainNode": job.node_index == job.main_node}


def _node_summary(job: Job) -> Wire | None:
    if job.num_nodes is None:
        return None
    return {"numNodes": job.num_nodes, **(_node_details(job) or {})}


def _network_interfaces(attempt: Attempt | None) -> list[Wire]:
    if attempt is None or attempt.private_ipv4 is None:
        return []
    return [{"privateIpv4Address": attempt.private_ipv4}]


def job_summary(job: Job, registry: Registry) -> Wire:
    """Returns one job as ListJobs shows it."""
    latest = job.attempts[-1] if job.attempts else None
    container = None if latest is None else _present(exitCode=latest.exit_code, reason=latest.reason)
    return _present(
        jobArn=job.arn,
        jobId=job.id,
        jobName=job.name,
        createdAt=job.created_at_ms,
        status=job.status.value,
        statusReason=job.status_reason,
        startedAt=job.started_at_ms,
        stoppedAt=job.stopped_at_ms,
        container=container or None,
        arrayProperties=_array_properties(job, registry),
        nodeProperties=_node_summary(job),
        shareIdentifier=job.share_identifier,
        jobDefinition=job.definition_arn,
        isCancelled=job.is_cancelled or None,
        isTerminated=job.is_terminated or None,
    )


def queue_arn(name: str, registry: Registry) -> str:
    """Returns the ARN of a queue, or its name if the queue was deleted."""
    queue = registry.job_queues.get(name)
    return name if queue is None else queue.arn


def _resources(environment: ComputeEnvironment) -> Wire:
    """Returns ``computeResources``, with the default images of AWS Batch if it names none.

    AWS's own images are always LATEST: no instance here was booted from an older image.
    """
    resources = environment.resources
    if environment.type != "MANAGED" or resources.get("type") not in ("EC2", "SPOT"):
        return resources
    given = resources.get("ec2Configuration") or default_images(resources, on_eks=bool(environment.eks))
    if not given:
        return resources
    images = [
        entry if entry.get("imageIdOverride") else {**entry, "batchImageStatus": "LATEST"} for entry in given
    ]
    return {**resources, "ec2Configuration": images}


def compute_environment(environment: ComputeEnvironment) -> Wire:
    """Returns one compute environment as DescribeComputeEnvironments shows it."""
    return {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": environment.arn,
        "type": environment.type,
        "state": environment.state.value,
        "status": environment.status,
        "statusReason": environment.status_reason,
        "tags": environment.tags,
        "uuid": environment.uuid,
        "containerOrchestrationType": "EKS" if environment.eks else "ECS",
        **_present(
            ecsClusterArn=None if environment.eks else environment.ecs_cluster_arn,
            computeResources=_resources(environment) or None,
            serviceRole=environment.service_role,
            unmanagedvCpus=environment.unmanaged_vcpus,
            updatePolicy=environment.update_policy,
            eksConfiguration=environment.eks,
        ),
        **environment.extra,
    }


def job_queue(queue: JobQueue, registry: Registry) -> Wire:
    """Returns one queue as DescribeJobQueues shows it."""
    order = [
        {"order": position, "computeEnvironment": registry.compute_environments[name].arn}
        for position, name in enumerate(queue.compute_environments, start=1)
    ]
    return {
        "jobQueueName": queue.name,
        "jobQueueArn": queue.arn,
        "state": queue.state.value,
        "status": queue.status,
        "statusReason": queue.status_reason,
        "priority": queue.priority,
        "computeEnvironmentOrder": order,
        "serviceEnvironmentOrder": [
            {"order": position, "serviceEnvironment": registry.service_environments[name].arn}
            for position, name in enumerate(queue.service_environments, start=1)
        ],
        "jobStateTimeLimitActions": queue.time_limit_actions,
        "tags": queue.tags,
        **_present(schedulingPolicyArn=queue.scheduling_policy_arn, jobQueueType=queue.queue_type),
    }


def job_definition(definition: JobDefinition) -> Wire:
    """Returns one revision as DescribeJobDefinitions shows it."""
    return {
        "tags": {},
        "parameters": {},
        **definition.body,
        "jobDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": "ACTIVE" if definition.active else "INACTIVE",
        "containerOrchestrationType": "EKS" if "eksProperties" in definition.body else "ECS",
    }


def scheduling_policy(policy: SchedulingPolicy) -> Wire:
    """Returns one policy as DescribeSchedulingPolicies shows it."""
    return {"name": policy.name, "arn": policy.arn, "tags": policy.tags, **policy.body}
