"""The stack of a team that adds a batch platform to its existing resources."""

from pathlib import Path

from batch_stack import (
    App,
    BatchPlatform,
    Ec2ComputeEnvironment,
    JobResources,
    JobSettings,
    OnDemandSettings,
    PriorityTier,
    Settings,
    TierSettings,
    load_settings,
)

# Import aws_cdk after batch_stack, so that jsii runs on the Node.js that is installed with batch_stack.
from aws_cdk import Stack  # isort: skip
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

HERE = Path(__file__).resolve().parent


class CatalogueService(Stack):
    """A catalogue of films: an existing API, and batch jobs that index its films."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._existing()
        self.platform = BatchPlatform(
            self, "Batch", settings=settings, containers_dir=HERE / "containers", vpc=self.vpc
        )
        self._jobs()
        self._nightly_tier()
        # The team's queue of incidents receives the platform's messages.
        self.platform.notification.topic.add_subscription(
            subscriptions.SqsSubscription(self.incidents, raw_message_delivery=True)
        )

    def _existing(self) -> None:
        """Refers to resources of other stacks, and creates the team's own resources of this stack."""
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "CompanyVpc",
            vpc_id="vpc-0a1b2c3d4e5f60718",
            availability_zones=["eu-west-1a", "eu-west-1b"],
            private_subnet_ids=["subnet-0a1b2c3d4e5f60718", "subnet-0b1c2d3e4f5a60718"],
            private_subnet_route_table_ids=["rtb-0a1b2c3d4e5f60718", "rtb-0b1c2d3e4f5a60718"],
        )
        self.films = s3.Bucket.from_bucket_name(self, "Films", "catalogue-films-example")
        self.incidents = self._queue(
            "Incidents",
            dead_letter_queue=sqs.DeadLetterQueue(queue=self._queue("Ignored"), max_receive_count=5),
        )
        self.api_role = iam.Role(
            self,
            "ApiRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            description="The catalogue's API, which asks for an index",
        )

    def _queue(self, construct_id: str, dead_letter_queue: sqs.DeadLetterQueue | None = None) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=dead_letter_queue,
        )

    def _jobs(self) -> None:
        """Adds a job that reads the team's bucket. The API may submit, describe and stop it."""
        job = self.platform.add_job(
            "index",
            JobSettings(
                folder="index",
                vcpu=2,
                memory_mib=3584,
                timeout_s=1800,
                command=["--film", "Ref::film", "--output", "Ref::output"],
            ),
            resources=[
                JobResources(environment={"FILMS_BUCKET": self.films.bucket_name}, grants=[self._read_films])
            ],
        )
        job.grant_submit(self.api_role, self.platform.tiers["online"], tags={"service": "catalogue"})
        self.platform.grant_read_jobs(self.api_role)
        self.platform.grant_stop_jobs(self.api_role, tags={"service": "catalogue"})

    def _read_films(self, role: iam.IRole) -> iam.Grant:
        return iam.Grant.add_to_principal(
            grantee=role,
            actions=["s3:GetObject"],
            resource_arns=[self.films.arn_for_objects("films/*")],
        )

    def _nightly_tier(self) -> None:
        """Adds a queue made from single constructs, on the platform's network and with its topic."""
        compute = Ec2ComputeEnvironment(
            self,
            "NightlyCompute",
            network=self.platform.network,
            settings=OnDemandSettings(max_vcpus=32, instance_types=["r6i", "r7i"]),
        )
        self.nightly = PriorityTier(
            self,
            "NightlyTier",
            compute_environments={"nightly": compute},
            settings=TierSettings(priority=10, compute=["nightly"]),
            notification=self.platform.notification,
        )
        self.platform.jobs["index"].grant_submit(self.api_role, self.nightly, tags={"service": "catalogue"})


def main() -> None:
    """Synthesizes the stack into the folder that the CDK command names."""
    app = App()
    CatalogueService(app, "catalogue-service", settings=load_settings(HERE / "batch.yaml"))
    app.synth()


if __name__ == "__main__":
    main()
