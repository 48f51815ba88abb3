"""Edits of the settings, deployed one after the other while jobs run: none is lost, no revision stranded."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_cli.demo.children import Children
from batch_cli.demo.platform import Platform
from batch_cli.demo.run import ROOT
from batch_stack.settings.file import parse_settings
from tests.cloudformation_changes import Change, changes
from tests.e2e.deployed_stack import DeployedStack, Edit
from tests.held_jobs import HeldJobs
from tests.stack.updates.test_safe_updates import BASE, EDITS
from tests.support import wait_for

pytestmark = pytest.mark.cloud

DEADLINE_S = 60.0
BEHIND = 6
SPOT, ON_DEMAND = "SpotCompute", "OnDemandCompute"
# Few enough vCPUs that some jobs wait behind those that run.
START = {"compute.spot.max_vcpus": 6, "compute.on_demand.max_vcpus": 16}

# Edits of the table, and the compute environments whose instances each replaces: AWS Batch drains the old
# ones, starts new ones beside them, and lets jobs end for as long as the update policy says.
SEQUENCE: tuple[tuple[str, set[str]], ...] = (
    ("other instance types", {SPOT}),
    ("another image", set()),
    ("more Fargate", set()),
    ("a larger disk, in the launch template", {SPOT}),
    ("more attempts, by the tier", set()),
    ("another priority", set()),
    ("another order of compute environments", set()),
    ("another compute environment", set()),
    ("another tier", set()),
    ("all data encrypted with a KMS key of the platform", set()),
    ("private subnets", {SPOT, ON_DEMAND}),
    ("a tier that takes no more jobs", set()),
)


def with_edit(settings: Mapping[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some fields set, by their paths."""
    after = copy.deepcopy(dict(settings))
    for path, value in edit.items():
        *parents, last = path.split(".")
        node = after
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return after


def synthesize(settings: Mapping[str, Any], outdir: Path) -> dict[str, Any]:
    """The template of some settings; its cloud assembly stays in a folder."""
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = import_module("aws_cdk").App(context=context, outdir=str(outdir), analytics_reporting=False)
    parsed = parse_settings(settings, source=outdir.name)
    stack = batch_stack.BatchStack(app, parsed.name, settings=parsed, containers_dir=ROOT / "containers")
    app.synth()
    return dict(json.loads((outdir / stack.template_file).read_text(encoding="utf-8")))


@dataclass
class Team:
    """A deployed stack, the jobs of those who use it, and every revision that they have seen."""

    platform: Platform
    stack: DeployedStack
    jobs: HeldJobs
    settings: dict[str, Any]
    template: dict[str, Any]
    revisions: dict[str, list[str]] = field(default_factory=lambda: {"Work": [], "Small": []})
    queues: dict[str, str] = field(default_factory=dict)
    predicted: dict[str, Change] = field(default_factory=dict)
    twice: str = ""

    def note_revisions(self) -> None:
        for job, seen in self.revisions.items():
            arn = self.stack.physical_id(f"{job}JobDefinition")
            if arn not in seen:
                seen.append(arn)

    def environments(self) -> dict[str, dict[str, Any]]:
        """Compute environments as AWS Batch describes them, by the prefixes of their logical ids."""
        found = self.jobs.batch.describe_compute_environments()["computeEnvironments"]
        names = {arn: name[:-8] for name, arn in self.stack.resources().items()}
        return {names[one["computeEnvironmentArn"]]: one for one in found}

    def running_in(self, environment: str) -> dict[str, dict[str, Any]]:
        cluster = self.environments()[environment]["ecsClusterArn"].rpartition("/")[2]
        return {
            job_id: job
            for job_id, job in self.jobs.running().items()
            if f"/{cluster}/" in job["container"]["taskArn"]
        }

    def fill(self) -> None:
        """See to it that jobs of the oldest revision run, and that others wait behind them."""
        oldest, jobs = self.revisions["Work"][0], self.jobs
        if jobs.described().get(self.twice, {}).get("status") in (None, "SUCCEEDED"):
            self.twice = jobs.submit(self.queues["High"], oldest, succeeds_at=2)
        if not self.running_in(ON_DEMAND):
            jobs.wait(self.to_shared(oldest), "RUNNING")
        limit = self.settings["compute"]["spot"]["max_vcpus"]
        missing = limit + BEHIND - len(self.running_in(SPOT)) - len(jobs.waiting())
        if missing > 0:
            jobs.submit(self.queues["Low"], oldest, arrayProperties={"size": max(2, missing)})
        wait_for(lambda: len(self.running_in(SPOT)) >= limit, "Spot being full", DEADLINE_S)
        assert jobs.waiting("RUNNABLE")

    def to_shared(self, definition: str) -> str:
        return self.jobs.submit(self.queues["Shared"], definition, shareIdentifier="team")

    def submit_to(self, environment: str) -> str:
        """Submit a job to a queue that has a compute environment first, or alone."""
        oldest = self.revisions["Work"][0]
        if environment == ON_DEMAND:
            return self.to_shared(oldest)
        return self.jobs.submit(self.queues["High"], oldest)

    def deploy(self, name: str, outdir: Path) -> Edit:
        """Start to deploy an edit of the table; the templates say beforehand what will become of it."""
        edit, _ = EDITS[name]
        self.settings = with_edit(self.settings, edit)
        template = synthesize(self.settings, outdir)
        self.predicted = changes(self.template, template)
        self.template = template
        assert self.predicted, "an edit that changes nothing tests nothing"
        return self.stack.propose(template).execute()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    data_dir = tmp_path_factory.mktemp("updates")
    with Children() as children:
        platform = Platform(ROOT, data_dir, children, start_options=("--host-vcpus", "32"))
        platform.start()
        bootstrap = platform.bootstrap()
        settings = with_edit(BASE, START)
        template = synthesize(settings, platform.assembly)
        platform.finish("cdk-bootstrap", bootstrap)
        platform.finish("cdk-deploy", platform.deploy())
        assert platform.record is not None
        clients = {name: platform.client(name) for name in ("batch", "cloudformation", "s3")}
        stack = DeployedStack(clients, platform.record.endpoint_url, "batch-stack")
        jobs = HeldJobs(clients["batch"], tmp_path_factory.mktemp("gates"))
        made = Team(platform, stack, jobs, settings, template)
        made.note_revisions()
        made.queues = {
            name: stack.physical_id(f"{name}TierQueue") for name in ("High", "Low", "Serverless", "Shared")
        }
        yield made
        jobs.let_all_go()
        platform.stop()


def let_an_update_end(team: Team, edit: Edit, replacing: set[str]) -> None:
    """Jobs on instances that go run on until they end by themselves; only then is the update over."""
    before = {name: team.running_in(name) for name in replacing}
    drained: set[str] = set()

    def over() -> bool:
        for name in replacing - drained:
            environment = team.environments()[name]
            if environment["status"] != "UPDATING":
                continue
            assert environment["updatePolicy"] == {
                "terminateJobsOnUpdate": False,
                "jobExecutionTimeoutMinutes": 60,
            }
            running = team.running_in(name)
            assert before[name].keys() <= running.keys(), "nobody is in a hurry"
            team.jobs.wait(team.submit_to(name), "RUNNING")
            assert not edit.is_over
            for job in running.values():
                team.jobs.let_go(job)
            drained.add(name)
        return edit.is_over

    wait_for(over, "the end of the update", DEADLINE_S)
    assert drained == replacing, f"{team.stack.status()}: {edit.reasons()}"


def look_after(team: Team, edit: Edit, before: Mapping[str, dict[str, Any]], replacing: set[str]) -> None:
    """What must hold after each edit."""
    assert team.stack.status() == "UPDATE_COMPLETE", edit.reasons()
    assert edit.disagreements(team.predicted) == []
    assert team.jobs.complaints() == []
    now = team.jobs.described()
    if not replacing:
        moved = [
            job_id
            for job_id, job in before.items()
            if (now[job_id]["status"], now[job_id]["startedAt"]) != ("RUNNING", job["startedAt"])
        ]
        assert moved == [], "an edit that replaces no instances touches no job"
    assert {one["status"] for one in team.environments().values()} == {"VALID"}
    team.note_revisions()
    used = [arn for arns in team.revisions.values() for arn in arns]
    described = team.jobs.batch.describe_job_definitions(jobDefinitions=used)["jobDefinitions"]
    assert [one["status"] for one in described] == ["ACTIVE"] * len(used)
    for job_id in [team.to_shared(arn) for arn in team.revisions["Work"]]:
        team.jobs.let_go(team.jobs.wait(job_id, "RUNNING"))
        team.jobs.wait(job_id, "SUCCEEDED")


def test_edits_one_after_the_other_lose_no_job(team: Team, tmp_path: Path) -> None:
    assert len(SEQUENCE) >= 10
    jobs, serverless = team.jobs, team.queues["Serverless"]
    first = jobs.submit(serverless, team.revisions["Small"][0], mib=2048)
    after_it = jobs.submit(team.queues["High"], team.revisions["Work"][0], dependsOn=[{"jobId": first}])
    jobs.wait(first, "RUNNING")
    for number, (name, replacing) in enumerate(SEQUENCE):
        team.fill()
        before = jobs.running()
        edit = team.deploy(name, tmp_path / str(number))
        let_an_update_end(team, edit, replacing)
        look_after(team, edit, before, replacing)
        assert jobs.described()[first]["status"] == "RUNNING", "Fargate has no instances to replace"
        assert jobs.described()[after_it]["status"] == "PENDING"
    with pytest.raises(jobs.batch.exceptions.ClientException, match="DISABLED"):
        jobs.submit(team.queues["Low"], team.revisions["Work"][0])
    assert jobs.waiting("RUNNABLE"), "what was in it before goes on waiting"
    assert len(team.revisions["Work"]) >= 3

    jobs.let_all_go()
    for job_id in jobs.ids:
        jobs.wait(job_id, "SUCCEEDED", "FAILED")
    assert jobs.complaints() == []
    ended = jobs.described()
    assert {job["status"] for job in ended.values()} == {"SUCCEEDED"}
