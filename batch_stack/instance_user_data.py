"""What container instances do when they start, before the ECS agent runs."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2

# The execution role writes logs: the instance's own role may not.
_LOGS_BY_EXECUTION_ROLE = "echo ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE=true >> /etc/ecs/ecs.config"
_SPOT_DRAINING = "echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config"
_METADATA_FOR_ROOT_ONLY = (
    "iptables --wait --insert OUTPUT --destination 169.254.169.254"
    " --match owner ! --uid-owner 0 --jump REJECT"
)


def instance_user_data(*, spot: bool) -> ec2.MultipartUserData:
    """Make user data, in the MIME format that AWS Batch requires.

    Jobs share the host's network, and could take the instance's role from the instance metadata service:
    https://docs.aws.amazon.com/batch/latest/userguide/networking-modes-jobs.html. So that service is kept to
    root. This stops a job whose image names another user, as every worker here does; it does not stop a
    container that runs as root. The endpoint of the job role has another address, 169.254.170.2.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-limiting-access.html

    On Spot the agent sets the instance DRAINING on an interruption notice: ECS places no more tasks there. Of
    running tasks ECS documents that those of a service are stopped. A job's task belongs to none: that
    SIGTERM reaches it before the host is gone is not promised, and the retry rules serve either way.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-draining.html

    Args:
        spot: whether the instances are Spot instances.
    """
    commands = ec2.UserData.for_linux()
    commands.add_commands(_METADATA_FOR_ROOT_ONLY, _LOGS_BY_EXECUTION_ROLE)
    if spot:
        commands.add_commands(_SPOT_DRAINING)
    user_data = ec2.MultipartUserData()
    user_data.add_part(ec2.MultipartBody.from_user_data(commands))
    return user_data
