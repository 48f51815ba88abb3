"""A file system on EFS that jobs share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_efs as efs
from aws_cdk import aws_iam as iam
from constructs import Construct

from batch_stack.common.retention import DataPolicy
from batch_stack.network.network import Network
from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.storage import AccessPointSettings, FileSystemSettings

_NFS = ec2.Port.tcp(2049)
_Lifecycle = efs.LifecyclePolicy
_AFTER: Mapping[int, efs.LifecyclePolicy] = {
    1: _Lifecycle.AFTER_1_DAY,
    7: _Lifecycle.AFTER_7_DAYS,
    14: _Lifecycle.AFTER_14_DAYS,
    30: _Lifecycle.AFTER_30_DAYS,
    60: _Lifecycle.AFTER_60_DAYS,
    90: _Lifecycle.AFTER_90_DAYS,
    180: _Lifecycle.AFTER_180_DAYS,
    270: _Lifecycle.AFTER_270_DAYS,
    365: _Lifecycle.AFTER_365_DAYS,
}


class SharedFiles(Construct):
    """An EFS file system that is encrypted, allows TLS only, and is mounted through access points.

    Its policy only denies, which is enough to keep out clients without IAM credentials. The job roles allow:
    each may mount the access points of its job's volumes.
    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html

    AWS cannot change an access point: an edit creates another one. Old access points, and those that are
    removed from the settings, are retained, because waiting jobs may mount them.

    Attributes:
        file_system: the file system.
        access_points: its access points by their names in the settings.
        security_group: the security group of its mount targets. It admits the jobs' security group to port
            2049, with EFA also the VPC's default group, and nothing else.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: FileSystemSettings,
        network: Network,
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the file system, a mount target in each Availability Zone, and the access points.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: access points, backups, and after how many days without use a file moves to cheaper
                storage.
            network: the network of the jobs.
            data_policy: what happens to the file system and its access points when the stack is deleted, and
                which key encrypts them. That key cannot be changed later.
        """
        super().__init__(scope, construct_id)
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network.vpc,
            description="File system: NFS from batch jobs",
            allow_all_outbound=False,
        )
        for clients in network.clients:
            self.security_group.add_ingress_rule(clients, _NFS, "NFS from batch jobs")
        days = settings.infrequent_access_days
        self.file_system = efs.FileSystem(
            self,
            "FileSystem",
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_group=self.security_group,
            encrypted=True,
            kms_key=data_policy.key,
            throughput_mode=efs.ThroughputMode.ELASTIC,
            enable_automatic_backups=settings.backups,
            lifecycle_policy=_AFTER[days] if days is not None else None,
            out_of_infrequent_access_policy=(
                efs.OutOfInfrequentAccessPolicy.AFTER_1_ACCESS if days is not None else None
            ),
            # The L2's own way to keep out anonymous clients would let all other clients write.
            allow_anonymous_access=True,
            file_system_policy=iam.PolicyDocument(statements=[_tls_only()]),
            removal_policy=data_policy.removal_policy,
        )
        self.access_points: Mapping[str, efs.AccessPoint] = MappingProxyType(
            {name: self._access_point(name, one, data_policy) for name, one in settings.access_points.items()}
        )

    def _access_point(
        self, name: str, settings: AccessPointSettings, data_policy: DataPolicy
    ) -> efs.AccessPoint:
        uid, gid = str(settings.uid), str(settings.gid)
        access_point = efs.AccessPoint(
            self,
            f"{pascal(name)}AccessPoint",
            file_system=self.file_system,
            path=settings.path,
            posix_user=efs.PosixUser(uid=uid, gid=gid),
            # Without this property EFS creates no folder, and mounting a missing folder fails.
            create_acl=efs.Acl(owner_uid=uid, owner_gid=gid, permissions=settings.permissions),
        )
        access_point.apply_removal_policy(data_policy.removal_policy)
        # A resource that refers to the access point may mount it at once.
        access_point.node.add_dependency(self.file_system.mount_targets_available)
        return access_point


def _tls_only() -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid="TlsOnly",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[
            "elasticfilesystem:ClientMount",
            "elasticfilesystem:ClientRootAccess",
            "elasticfilesystem:ClientWrite",
        ],
        conditions={"Bool": {"aws:SecureTransport": "false"}},
    )
