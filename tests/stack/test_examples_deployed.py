"""The examples, deployed to one local cloud where policies count: each does what it is an example of."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from batch_stack.settings.base.names import construct_id as pascal
from batch_stack.settings.file import load_settings
from batch_stack.settings.root import Settings
from tests.acting import acting_as, outcome
from tests.assemblies import bootstrap, deploy, physical_id
from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack
from tests.support import wait_for

pytestmark = [pytest.mark.cloud, pytest.mark.stack]

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["genomics-hpc", "gpu-training", "import-into-another-stack", "minimal", "production"]
IMPORTING = "import-into-another-stack"
IMAGE = ROOT / "containers/media/sample/chelsea.png"
# As large as what the examples ask for: nothing has to wait for this machine.
HOST_VCPUS = "2048"
DEADLINE_S = 90.0
# What the READMEs ask for before the first job.
SECRETS = {"genomics/caller-licence": {"key": "seat-7"}, "training/wandb": {"api_key": "k3y"}}
FILMS = "catalogue-films-example"


class Example:
    """One of the stacks."""

    def __init__(self, name: str, cloud: LocalCloud, stack: Stack) -> None:
        self.cloud = cloud
        self.stack = stack
        self.batch = cloud.client("batch")
        self.settings: Settings = load_settings(ROOT / "examples" / name / "batch.yaml")
        self._prefix = "Batch" if name == IMPORTING else ""

    def id(self, suffix: str) -> str:
        """The physical id of a resource of the platform: ``JobsTierQueue``."""
        return physical_id(self.stack, f"{self._prefix}{suffix}")

    def queue(self, tier: str) -> str:
        return self.id(f"{pascal(tier)}TierQueue")

    def definition(self, job: str) -> str:
        return self.id(f"{pascal(job)}JobDefinition")

    def submit(self, tier: str, job: str, **request: Any) -> str:
        submitted = self.batch.submit_job(
            jobName=job, jobQueue=self.queue(tier), jobDefinition=self.definition(job), **request
        )
        return str(submitted["jobId"])

    def succeeds(self, job_id: str) -> dict[str, Any]:
        """Wait for the end of a job, which must be a good one."""

        def ended() -> dict[str, Any] | None:
            (job,) = self.batch.describe_jobs(jobs=[job_id])["jobs"]
            return dict(job) if job["status"] in ("SUCCEEDED", "FAILED") else None

        job: dict[str, Any] = wait_for(ended, f"the end of job {job_id}", DEADLINE_S)
        assert job["status"] == "SUCCEEDED", (job.get("statusReason"), job.get("attempts"))
        return job


@pytest.fixture(scope="module")
def deployed(
    examples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Example]]:
    """All of them side by side, as in the account of somebody who tries one after the other."""
    assembly, data_dir = tmp_path_factory.mktemp("assemblies"), tmp_path_factory.mktemp("cloud")
    for name in NAMES:
        shutil.copytree(examples[name], assembly / name)
    cloud = LocalCloud(data_dir)
    cloud.start("--enforce-iam", "--assembly", str(assembly), "--host-vcpus", HOST_VCPUS)
    try:
        bootstrap(cloud)
        for name, value in SECRETS.items():
            cloud.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value))
        cloud.client("s3").create_bucket(Bucket=FILMS)
        yield {name: Example(name, cloud, deploy(cloud, assembly / name)) for name in NAMES}
    finally:
        cloud.stop()


@pytest.fixture
def example(deployed: Mapping[str, Example]) -> Callable[[str], Example]:
    """Finds one that has been created."""

    def found(name: str) -> Example:
        one = deployed[name]
        assert one.stack.settled() == "CREATE_COMPLETE", one.stack.reasons()
        return one

    return found


def _shell(script: str, **environment: str) -> dict[str, Any]:
    """Overrides: a shell in place of a program that only the example's own image has."""
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    return {"command": ["sh", "-euc", script], "environment": variables}


@pytest.mark.parametrize("name", NAMES)
def test_queues_environments_and_definitions_are_as_set(name: str, example: Callable[[str], Example]) -> None:
    one = example(name)
    arns = {compute: one.id(f"{pascal(compute)}Compute") for compute in one.settings.compute}
    described = one.batch.describe_compute_environments(computeEnvironments=list(arns.values()))
    environments = {found["computeEnvironmentArn"]: found for found in described["computeEnvironments"]}
    for compute, settings in one.settings.compute.items():
        found = environments[arns[compute]]
        assert (found["state"], found["status"]) == ("ENABLED", "VALID"), found
        assert found["computeResources"]["maxvCpus"] == settings.max_vcpus

    for tier, settings in one.settings.tiers.items():
        (queue,) = one.batch.describe_job_queues(jobQueues=[one.queue(tier)])["jobQueues"]
        assert (queue["state"], queue["status"]) == ("ENABLED", "VALID"), queue
        assert queue["priority"] == settings.priority
        order = sorted(queue["computeEnvironmentOrder"], key=lambda entry: entry["order"])
        assert [entry["computeEnvironment"] for entry in order] == [
            arns[compute] for compute in settings.compute
        ]
        assert ("schedulingPolicyArn" in queue) == (settings.fair_share is not None)

    for job, settings in one.settings.jobs.items():
        asked = one.batch.describe_job_definitions(jobDefinitions=[one.definition(job)])
        (definition,) = asked["jobDefinitions"]
        assert definition["status"] == "ACTIVE"
        assert definition["timeout"]["attemptDurationSeconds"] == settings.timeout_s
        assert definition["retryStrategy"]["attempts"] == one.settings.retry(job).attempts
        nodes = definition.get("nodeProperties", {}).get("numNodes")
        assert nodes == (settings.nodes.count if settings.nodes else None)


def test_minimal_greets_whom_the_submission_names(example: Callable[[str], Example]) -> None:
    one = example("minimal")
    job = one.succeeds(one.submit("jobs", "hello", parameters={"name": "you"}))
    said = one.cloud.client("logs").get_log_events(
        logGroupName=one.id("HelloJobLogGroup"), logStreamName=job["container"]["logStreamName"]
    )
    assert [event["message"] for event in said["events"]] == [f"Hello, you, from {job['jobId']}"]
    assert job["platformCapabilities"] == ["FARGATE"]


def test_production_turns_an_urgent_upload_into_a_result(example: Callable[[str], Example]) -> None:
    one = example("production")
    s3 = one.cloud.client("s3")
    out = one.stack.outputs()
    s3.put_object(Bucket=out["InputBucketName"], Key="urgent/cat.png", Body=IMAGE.read_bytes())

    def submitted() -> str | None:
        asked = {
            "jobQueue": one.queue("critical"),
            "filters": [{"name": "JOB_NAME", "values": ["urgent-cat-*"]}],
        }
        found = one.batch.list_jobs(**asked)["jobSummaryList"]
        return str(found[0]["jobId"]) if found else None

    one.succeeds(wait_for(submitted, "the job for the upload", DEADLINE_S))
    made = s3.list_objects_v2(Bucket=out["OutputBucketName"], Prefix="urgent/cat.png/")["Contents"]
    assert "urgent/cat.png/result.json" in {found["Key"] for found in made}
    (group,) = one.cloud.client("logs").describe_log_groups(logGroupNamePrefix=one.id("MediaJobLogGroup"))[
        "logGroups"
    ]
    queue = one.cloud.client("sqs").get_queue_attributes(
        QueueUrl=one.id("UrgentTriggerQueue"), AttributeNames=["KmsMasterKeyId"]
    )["Attributes"]
    assert group["kmsKeyId"] == queue["KmsMasterKeyId"] == out["KeyArn"]


def test_genomics_stages_references_and_calls_by_interval_under_licence(
    example: Callable[[str], Example],
) -> None:
    one = example("genomics-hpc")
    stage = _shell("echo ACGT > /references/chr1.fa")
    one.succeeds(
        one.submit("research", "stage-references", shareIdentifier="cohort1", containerOverrides=stage)
    )
    call = _shell(
        """
        [ "$(cat /references/chr1.fa)" = ACGT ]
        if touch /references/mine; then exit 1; fi
        [ "$CALLER_LICENCE" = seat-7 ]
        [ "$AWS_BATCH_JOB_ARRAY_INDEX" -lt 2 ]
        [ -n "$INTERVALS" ]
        """
    )
    array = one.submit("clinical", "call-variants", arrayProperties={"size": 2}, containerOverrides=call)
    assert one.succeeds(array)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 2


def test_genomics_builds_a_tree_on_four_nodes(example: Callable[[str], Example]) -> None:
    one = example("genomics-hpc")
    node = _shell('[ "$AWS_BATCH_JOB_NUM_NODES" = 4 ] && [ "$AWS_BATCH_JOB_NODE_INDEX" -lt 4 ]')
    overrides = {"nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": node}]}
    job = one.succeeds(one.submit("phylogeny", "tree", nodeOverrides=overrides))
    assert job["nodeProperties"]["numNodes"] == 4


def test_gpu_training_shares_gpus_and_sweeps_over_an_array(example: Callable[[str], Example]) -> None:
    one = example("gpu-training")
    train = _shell(
        '[ "$WANDB_API_KEY" = k3y ] && [ "$CHECKPOINT_EVERY_S" = 600 ] && [ -n "$SCRATCH_BUCKET" ]'
    )
    job = one.succeeds(one.submit("training", "train", shareIdentifier="vision1", containerOverrides=train))
    assert {"type": "GPU", "value": "1"} in job["container"]["resourceRequirements"]
    sweep = _shell('[ "$AWS_BATCH_JOB_ARRAY_SIZE" = 3 ]')
    array = one.submit("sweeps", "sweep", arrayProperties={"size": 3}, containerOverrides=sweep)
    assert one.succeeds(array)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
    with pytest.raises(one.batch.exceptions.ClientException, match="shareIdentifier"):
        one.submit("training", "train")


def test_gpu_training_pretrains_on_four_nodes_that_are_told_of_the_main_one(
    example: Callable[[str], Example],
) -> None:
    one = example("gpu-training")
    node = _shell(
        """
        [ "$AWS_BATCH_JOB_NUM_NODES" = 4 ]
        [ "$AWS_BATCH_JOB_NODE_INDEX" = "$AWS_BATCH_JOB_MAIN_NODE_INDEX" ] ||
            [ -n "$AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS" ]
        """
    )
    overrides = {"nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": node}]}
    one.succeeds(one.submit("pretraining", "pretrain", nodeOverrides=overrides))


def test_an_imported_platform_indexes_a_film_for_the_team_s_own_api(
    example: Callable[[str], Example],
) -> None:
    one = example(IMPORTING)
    s3 = one.cloud.client("s3")
    s3.put_object(Bucket=FILMS, Key="films/4711.mp4", Body=b"a film")
    api = acting_as(one.cloud.client, one.cloud.record.endpoint_url, physical_id(one.stack, "ApiRole"))(
        "batch"
    )
    here = ROOT / "examples" / IMPORTING / "containers/index"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    request = {
        "jobName": "index-4711",
        "jobQueue": physical_id(one.stack, "NightlyTierQueue"),
        "jobDefinition": one.definition("index").rpartition(":")[0],
        "parameters": {"film": "4711.mp4", "output": "index/4711.json"},
        # What the image has, here.
        "containerOverrides": {
            "environment": [{"name": "PYTHONPATH", "value": str(here)}, {"name": "PATH", "value": path}]
        },
    }
    one.succeeds(api.submit_job(**request, tags={"service": "catalogue"})["jobId"])
    written = s3.get_object(Bucket=one.id("StorageOutput"), Key="index/4711.json")["Body"].read()
    assert json.loads(written) == {
        "film": "4711.mp4",
        "size_bytes": 6,
        "sha256": "eb4d67fa94a1035e41117b2890d6281a1ad461ac0c9cfa6d3c0e94256a08532f",
    }
    assert outcome(lambda: api.submit_job(**request, tags={"service": "other"})) == "denied"
    assert (
        outcome(lambda: api.submit_job(**{**request, "jobDefinition": one.definition("export")})) == "denied"
    )
