"""IAM roles of compute environments and of their instances.

Each has the permissions of AWS's own policy for the purpose, reduced to one Region and account, to the
clusters of AWS Batch, and to what this library uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.network.network import Network

_LINKED = "aws-service-role"
_OF_ECS = {"StringEquals": {"aws:RequestTag/AmazonECSManaged": "true"}}

_LOG_EVENTS = "ecs:PutSystemLogEvents"
_AGENT_IN_CLUSTERS = (
    "ecs:RegisterContainerInstance",
    "ecs:SubmitAttachmentStateChanges",
    "ecs:SubmitTaskStateChange",
)


def instance_role(scope: Construct, construct_id: str, *, drains: bool) -> iam.Role:
    """Creates the role of container instances, with the permissions that the ECS agent needs.

    Jobs on EC2 share the host's network, so that a job that runs as root can assume this role (see
    docs/adr/015). It therefore lacks the permissions of the managed AmazonEC2ContainerServiceforEC2Role to
    pull images and write logs, which are in the jobs' execution roles. It reaches only the clusters of AWS
    Batch, whose names have two forms.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        drains: whether the agent may set its instance DRAINING, which it does on a Spot interruption notice.
    """
    instances, in_clusters = _container_instances(scope), {"ArnLike": {"ecs:cluster": _clusters(scope)}}
    of_instances = ["ecs:Poll", "ecs:StartTelemetrySession"]
    if drains:
        of_instances.append("ecs:UpdateContainerInstancesState")
    return _agent_role(
        scope,
        construct_id,
        description="Lets container instances join the ECS cluster of their compute environment",
        in_clusters=[
            *_AGENT_IN_CLUSTERS,
            "ecs:DeregisterContainerInstance",
            "ecs:SubmitContainerStateChange",
        ],
        more=[
            _allow(of_instances, [instances], in_clusters),
            _allow(
                ["ecs:TagResource"],
                [instances],
                {"StringEquals": {"ecs:CreateAction": "RegisterContainerInstance"}},
            ),
        ],
    )


def managed_instance_role(scope: Construct, construct_id: str) -> iam.Role:
    """Creates the role of instances that Amazon ECS manages, with the permissions that their agent needs.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instances-instance-profile.html

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
    """
    instances, in_clusters = _container_instances(scope), {"ArnLike": {"ecs:cluster": _clusters(scope)}}
    return _agent_role(
        scope,
        construct_id,
        description="Lets instances that Amazon ECS manages join the cluster of their compute environment",
        # The action on log events needs two resources: the instance and its cluster.
        in_clusters=[*_AGENT_IN_CLUSTERS, _LOG_EVENTS],
        more=[_allow(["ecs:Poll", _LOG_EVENTS, "ecs:StartTelemetrySession"], [instances], in_clusters)],
    )


def _agent_role(
    scope: Construct,
    construct_id: str,
    *,
    description: str,
    in_clusters: Sequence[str],
    more: Sequence[iam.PolicyStatement],
) -> iam.Role:
    statements = [
        # AWS binds this action, which returns the agent's endpoint, to no resource.
        _allow(["ecs:DiscoverPollEndpoint"], ["*"]),
        _allow(sorted(in_clusters), _clusters(scope)),
        *more,
    ]
    return iam.Role(
        scope,
        construct_id,
        description=description,
        # EC2 documents no source with which it assumes this role, so that no condition can name one. None is
        # needed: an instance profile holds roles of its own account only (docs/adr/062).
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        inline_policies={"EcsAgent": iam.PolicyDocument(statements=statements)},
    )


def infrastructure_role(
    scope: Construct, construct_id: str, *, passes: iam.IRole, network: Network, spot: bool
) -> iam.Role:
    """Creates the role with which Amazon ECS launches the instances that it manages.

    It has the permissions of AmazonECSInfrastructureRolePolicyForManagedInstances, except for capacity
    reservations, which this library does not use, and it may pass one role only. AWS's policy passes every
    role whose name begins with ecsInstanceRole, which would need a physical name. ECS ends instances with
    another role.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/infrastructure_IAM_role.html

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
        passes: the role of the instances, which this role may pass.
        network: the network whose subnets and security group it may use.
        spot: whether they are Spot instances, for which an account needs a service-linked role.
    """
    statements = [
        _allow(["ec2:CreateLaunchTemplate"], [_arn(scope, "ec2", "launch-template", "*")], _OF_ECS),
        _allow(
            ["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"],
            [_arn(scope, "ec2", "launch-template", "*")],
            {"StringEquals": {"ec2:ManagedResourceOperator": "ecs.amazonaws.com"}},
        ),
        *_launches(scope, network),
        _allow(
            ["ec2:CreateTags"],
            _ec2(scope, "fleet", "instance", "launch-template", "network-interface", "volume"),
            {"StringEquals": {"ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "RunInstances"]}},
        ),
        _allow(
            ["iam:PassRole"],
            [passes.role_arn],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        # EC2's Describe actions have no resources.
        _allow(
            [
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstances",
                "ec2:DescribeLaunchTemplates",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            ["*"],
        ),
    ]
    if spot:
        linked = _role(f"{_LINKED}/spot.amazonaws.com/AWSServiceRoleForEC2Spot")
        statements.append(_allow(["iam:CreateServiceLinkedRole"], [linked]))
    return iam.Role(
        scope,
        construct_id,
        description="Lets Amazon ECS launch the instances of a compute environment",
        # AWS documents no source with which ECS assumes this role, so that no condition can name one. Only
        # principals of this account can pass it to ECS.
        assumed_by=iam.ServicePrincipal("ecs.amazonaws.com"),
        inline_policies={"ManagedInstances": iam.PolicyDocument(statements=statements)},
    )


def _launches(scope: Construct, network: Network) -> list[iam.PolicyStatement]:
    """Returns the permissions to launch instances with ECS's tag, in the network's subnets and group."""
    made = _ec2(scope, "instance", "network-interface", "volume")
    around = [
        *(_arn(scope, "ec2", "subnet", subnet_id) for subnet_id in network.subnet_ids),
        _arn(scope, "ec2", "security-group", network.security_group.security_group_id),
        f"arn:{Aws.PARTITION}:ec2:{Aws.REGION}::image/*",
    ]
    return [
        _allow(["ec2:CreateFleet"], [*made, *_ec2(scope, "fleet", "launch-template")], _OF_ECS),
        _allow(["ec2:RunInstances"], made, _OF_ECS),
        _allow(
            ["ec2:RunInstances"],
            _ec2(scope, "launch-template"),
            {"StringEquals": {"ec2:ResourceTag/AmazonECSManaged": "true"}},
        ),
        _allow(["ec2:CreateFleet", "ec2:RunInstances"], around),
    ]


def unmanaged_service_role(scope: Construct, construct_id: str) -> iam.Role:
    """Creates the role with which AWS Batch runs jobs on instances that it does not start and stop.

    An unmanaged compute environment cannot use AWSServiceRoleForBatch. The role has the permissions of
    AWSBatchServiceRole, except those on EC2 and Auto Scaling, which AWS Batch does not need for it.
    https://docs.aws.amazon.com/batch/latest/userguide/service_IAM_role.html

    Args:
        scope: the parent construct.
        construct_id: the role's id within it.
    """
    sources = [_arn(scope, "batch", resource, "*") for resource in ("compute-environment", "job")]
    return iam.Role(
        scope,
        construct_id,
        description="Lets AWS Batch run jobs in an unmanaged compute environment",
        assumed_by=iam.ServicePrincipal(
            "batch.amazonaws.com",
            # https://docs.aws.amazon.com/batch/latest/userguide/cross-service-confused-deputy-prevention.html
            conditions={
                "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                "ArnLike": {"aws:SourceArn": sources},
            },
        ),
        inline_policies={"RunJobs": iam.PolicyDocument(statements=_running_jobs(scope))},
    )


def _running_jobs(scope: Construct) -> list[iam.PolicyStatement]:
    """Returns the permissions on the clusters of AWS Batch and on the jobs that run in them."""
    clusters = _clusters(scope)
    in_clusters = {"ArnLike": {"ecs:cluster": clusters}}
    log_group = f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:/aws/batch/job"
    instances = _container_instances(scope)
    definitions, tasks = _arn(scope, "ecs", "task-definition", "*"), _arn(scope, "ecs", "task", "*")
    return [
        # AWS binds these actions to no resource.
        _allow(
            [
                "ecs:DeregisterTaskDefinition",
                "ecs:DescribeTaskDefinition",
                "ecs:ListAccountSettings",
                "ecs:ListClusters",
                "ecs:ListTaskDefinitionFamilies",
                "ecs:ListTaskDefinitions",
            ],
            ["*"],
        ),
        _allow(
            [
                "ecs:CreateCluster",
                "ecs:DeleteCluster",
                "ecs:DeregisterContainerInstance",
                "ecs:DescribeClusters",
                "ecs:ListContainerInstances",
                "ecs:UpdateCluster",
            ],
            clusters,
        ),
        _allow(["ecs:RegisterTaskDefinition"], [definitions]),
        _allow(["ecs:RunTask", "ecs:StartTask"], [definitions], in_clusters),
        _allow(["ecs:DescribeContainerInstances", "ecs:ListTasks"], [instances], in_clusters),
        _allow(["ecs:DescribeTasks", "ecs:StopTask"], [tasks], in_clusters),
        _allow(
            ["ecs:TagResource"], [tasks], {"StringEquals": {"ecs:CreateAction": ["RunTask", "StartTask"]}}
        ),
        _allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [log_group, f"{log_group}:*"],
        ),
        _allow(
            ["iam:CreateServiceLinkedRole"],
            [_role("aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS")],
        ),
        # The roles of jobs are in their definitions, which may be registered at any time.
        # RegisterJobDefinition requires permission to pass them.
        _allow(
            ["iam:PassRole"],
            [_role("*")],
            {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    ]


def _clusters(scope: Construct) -> list[str]:
    """Returns the ARN patterns of the clusters of AWS Batch, whose names have two forms."""
    return [_arn(scope, "ecs", "cluster", name) for name in ("AWSBatch*", "*_Batch_*")]


def _container_instances(scope: Construct) -> str:
    return _arn(scope, "ecs", "container-instance", "*")


def _ec2(scope: Construct, *resources: str) -> list[str]:
    return [_arn(scope, "ec2", resource, "*") for resource in resources]


def _arn(scope: Construct, service: str, resource: str, name: str) -> str:
    return Stack.of(scope).format_arn(service=service, resource=resource, resource_name=name)


def _role(name: str) -> str:
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/{name}"


def _allow(
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, object]] | None = None,
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
