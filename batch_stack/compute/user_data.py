"""User data of container instances, which runs before the ECS agent."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_ec2 as ec2

DOCKER_VOLUMES = "/var/lib/docker/volumes"
"""The mount point of the instances' NVMe disks. Docker creates the jobs' /scratch folders below it."""

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
_AGENT = {
    # The execution role writes logs; the instance's role may not.
    "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE": "true",
    # Nodes of multi-node parallel jobs have interfaces of their own, on which the instance metadata service
    # answers directly, without the hop limit or the host's firewall in between.
    "ECS_AWSVPC_BLOCK_IMDS": "true",
    # An instance runs one job after another. Their containers and images would fill its disk: by default a
    # container is removed after three hours, and five images every half hour.
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
# The kernel of Amazon Linux 2023 has the driver; nothing has to be installed on the host.
_EFA = "modprobe efa || echo 'batch-stack: no EFA driver in this image: jobs that need it will not start' >&2"
# Amazon Linux installs mdadm from a repository in S3. A second run, or one after a restart, finds the volume
# by its label or mounted, and keeps its contents. Without any disk, which a type outside the project's table
# may lack, the folders stay on the root volume. Docker may run already, and finds volumes by their paths. Do
# not stop it: the ECS agent requires Docker and waits for this script, so that it would never start.
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
    """Returns user data, in the MIME format that AWS Batch requires.

    Jobs share the host's network, and could get the instance's role from the instance metadata service:
    https://docs.aws.amazon.com/batch/latest/userguide/networking-modes-jobs.html. So only root
    may use that service. This stops a job whose image names another user, as every worker here does, but no
    container that runs as root. The endpoint of the job role has another address, 169.254.170.2.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-limiting-access.html

    On Spot the agent sets the instance DRAINING on an interruption notice: ECS places no more tasks there.
    ECS documents that running tasks of a service are stopped. A job's task belongs to no service: it may not
    get SIGTERM before the host ends. The retry rules apply in both cases.
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
        # Last: if it fails, the instance is still safe, and jobs have the space of the root volume.
        commands.add_commands(_SCRATCH)
    user_data = ec2.MultipartUserData()
    user_data.add_part(ec2.MultipartBody.from_user_data(commands))
    return user_data
