"""A database for results: Aurora PostgreSQL."""

from __future__ import annotations

from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from batch_stack.common.job_access import JobResources, generated_secret
from batch_stack.common.log_group import log_group
from batch_stack.common.retention import DataPolicy
from batch_stack.network.network import Network
from batch_stack.settings.storage import DatabaseSettings

_POSTGRES = rds.AuroraPostgresEngineVersion.VER_17_7
_PORT = 5432
_MASTER = "postgres"


class ResultsDatabase(Construct):
    """An Aurora PostgreSQL cluster, Serverless v2, in subnets without a way to the internet.

    RDS generates the password of its master user, keeps it in Secrets Manager and changes it every week; ECS
    passes it to a job when the job starts. A job that still opens connections days later needs a user with
    IAM authentication: the cluster lets in database users to whom the role ``rds_iam`` is granted.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html

    Attributes:
        cluster: the cluster, with one instance.
        security_group: admits the jobs' security group to port 5432, with EFA also the VPC's default group,
            and nothing else.
        secret_arn: the ARN of RDS's secret with the master user's name and password.
        log_group: PostgreSQL's log.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DatabaseSettings,
        network: Network,
        data_policy: DataPolicy = DataPolicy(),
    ) -> None:
        """Creates the cluster and its log group.

        Args:
            scope: the parent construct.
            construct_id: this construct's id within it.
            settings: the database's name, its capacity in ACUs, and for how many days it is backed up.
            network: the network of the jobs; its data subnets must be in two Availability Zones.
            data_policy: what happens to the cluster and its log when the stack is deleted, how long the log
                is kept, and which key encrypts the cluster, its secret and its log. That key cannot be
                changed later. A retained cluster cannot be deleted before its deletion protection is switched
                off; it then leaves a snapshot.
        """
        super().__init__(scope, construct_id)
        self._name = settings.name
        self._data_policy = data_policy
        self.security_group = ec2.SecurityGroup(
            self,
            "SecurityGroup",
            vpc=network.vpc,
            description="Database: PostgreSQL from batch jobs",
            allow_all_outbound=False,
        )
        for clients in network.clients:
            self.security_group.add_ingress_rule(clients, ec2.Port.tcp(_PORT), "PostgreSQL from batch jobs")
        self.cluster = rds.DatabaseCluster(
            self,
            "Cluster",
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=_POSTGRES),
            writer=rds.ClusterInstance.serverless_v2(
                "Writer", publicly_accessible=False, auto_minor_version_upgrade=True
            ),
            credentials=rds.Credentials.from_username(_MASTER, encryption_key=data_policy.key),
            manage_master_user_password=True,
            serverless_v2_min_capacity=settings.min_acu,
            serverless_v2_max_capacity=settings.max_acu,
            default_database_name=settings.name,
            port=_PORT,
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_groups=[self.security_group],
            storage_encrypted=True,
            storage_encryption_key=data_policy.key,
            iam_authentication=True,
            parameters={"rds.force_ssl": "1"},
            backup=rds.BackupProps(retention=Duration.days(settings.backup_days)),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=data_policy.retains,
            # A retained cluster would use its subnets for good, so that CloudFormation could not delete them.
            removal_policy=RemovalPolicy.SNAPSHOT if data_policy.retains else RemovalPolicy.DESTROY,
        )
        cfn = cast(rds.CfnDBCluster, self.cluster.node.default_child)
        self.secret_arn: str = cfn.attr_master_user_secret_secret_arn
        self.log_group = self._log_group()

    def for_jobs(self) -> JobResources:
        """Returns variables with the database's address, and its user and password as secrets."""
        endpoint = self.cluster.cluster_endpoint
        return JobResources(
            environment={
                "DATABASE_HOST": endpoint.hostname,
                "DATABASE_PORT": str(_PORT),
                "DATABASE_NAME": self._name,
            },
            secrets={
                "DATABASE_USER": self._secret("username"),
                "DATABASE_PASSWORD": self._secret("password"),
            },
        )

    def _secret(self, field: str) -> batch.Secret:
        key = self._data_policy.key
        return generated_secret(
            self.secret_arn, field=field, kms_key_arn=key.key_arn if key is not None else None
        )

    def _log_group(self) -> logs.LogGroup:
        # RDS would create it and keep its entries for good; the L2 changes that with a custom resource.
        group = log_group(
            self, "LogGroup", data_policy=self._data_policy, names="/aws/rds/cluster/*/postgresql"
        )
        cast(
            logs.CfnLogGroup, group.node.default_child
        ).log_group_name = f"/aws/rds/cluster/{self.cluster.cluster_identifier}/postgresql"
        # A cluster without an instance writes nothing.
        self.cluster.node.find_child("Writer").node.add_dependency(group)
        return group
