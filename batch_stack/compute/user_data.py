"""What container instances do when they start, before the ECS agent runs."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_ec2 as ec2

DOCKER_VOLUMES = "/var/lib/docker/volumes"
"""Where the instances' own disks are mounted: the empty folders that jobs are given at /scratch are there."""

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
_AGENT = {
    # The execution role writes logs: the instance's own role may not.
    "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE": "true",
    # Nodes of multi-node parallel jobs have interfaces of their own, by which the instance metadata service
    # answers them directly: neither a hop limit nor a rule of the host's is in between.
    "ECS_AWSVPC_BLOCK_IMDS": "true",
    # An instance runs one job after another, and stays while there are more. Their containers and images
    # would fill its disk: by default a container goes after three hours, and every half hour five images.
    "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "10m",
    "ECS_IMAGE_CLEANUP_INTERVAL": "10m",
    "ECS_IMAGE_MINIMUM_CLEANUP_AGE": "30m",
    "ECS_NUM_IMAGES_DELETE_PER_CYCLE": "10",
}
_AGENT_ON_SPOT = {"ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true"}
_METADATA_FOR_ROOT_ONLY = (
    "iptables --wait --insert OUTPUT --destination 169.254.169.254"
    " --match owner ! --uid-owner 0 --jump REJECT"
)
# The kernel of Amazon Linux 2023 brings the driver along; nothing has to be installed on the host.
_EFA = "modprobe efa || echo 'batch-stack: no EFA driver in this image: jobs that need it will not start' >&2"
# Amazon Linux has no mdadm until it is asked for, from a repository that is in S3. A second run, or one after
# a restart, finds the volume by its label or mounted, and leaves what is on it. Without any disk, which a
# type that the project's table does not know may lack, the folders stay on the root volume. Docker, which may
# run already, finds volumes by their paths; to stop it would keep the ECS agent, which waits for the end of
# all this and requires Docker, from ever starting.
_SCRATCH = f"""\
if ! mountpoint --quiet {DOCKER_VOLUMES}; then
  if ! blkid --label scratch > /dev/null; then
    mapfile -t disks < <(lsblk --nodeps --noheadings --paths --output NAME,MODEL \\
      | awk '/Amazon EC2 NVMe Instance Storage/ {{ print $1 }}')
    volume=${{disks[0]:-}}
    if (( ${{#disks[@]}} > 1 )); then
      command -v mdadm > /dev/null || dnf install --assumeyes --quiet mdadm
      volume=/dev/md/scratch
      mdadm --create "$volume" --run --level=0 --raid-devices="${{#disks[@]}}" "${{disks[@]}}"
    fi
    [[ -z $volume ]] || mkfs.xfs -L scratch "$volume"
  fi
  if blkid --label scratch > /dev/null; then
    options=defaults,noatime,nofail,x-systemd.before=docker.service
    grep --quiet '^LABEL=scratch ' /etc/fstab \\
      || echo "LABEL=scratch {DOCKER_VOLUMES} xfs $options 0 2" >> /etc/fstab
    mkdir --parents {DOCKER_VOLUMES}
    mount {DOCKER_VOLUMES}
    chmod 0701 {DOCKER_VOLUMES}
  else
    echo 'batch-stack: no instance store volume: /scratch of jobs is on the root volume' >&2
  fi
fi"""


def instance_user_data(*, spot: bool, nvme_scratch: bool = False, efa: bool = False) -> ec2.MultipartUserData:
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

    Instance store volumes are encrypted by their hardware, with keys that end with the instance:
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/data-protection.html

    Args:
        spot: whether the instances are Spot instances.
        nvme_scratch: whether all their instance store volumes become one file system, at `DOCKER_VOLUMES`.
        efa: whether they have Elastic Fabric Adapters, whose driver is then loaded.
    """
    agent: Mapping[str, str] = {**_AGENT, **(_AGENT_ON_SPOT if spot else {})}
    commands = ec2.UserData.for_linux()
    commands.add_commands(_METADATA_FOR_ROOT_ONLY)
    commands.add_commands(*(f"echo {name}={value} >> /etc/ecs/ecs.config" for name, value in agent.items()))
    if efa:
        commands.add_commands(_EFA)
    if nvme_scratch:
        # Last: what fails here leaves an instance that is safe, and jobs with the root volume's room.
        commands.add_commands(_SCRATCH)
    user_data = ec2.MultipartUserData()
    user_data.add_part(ec2.MultipartBody.from_user_data(commands))
    return user_data
