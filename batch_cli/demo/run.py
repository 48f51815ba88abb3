"""The demo from beginning to end."""

import os
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from batch_cli.demo import report
from batch_cli.demo.children import Children
from batch_cli.demo.errors import DemoError
from batch_cli.demo.folders import fresh_folder
from batch_cli.demo.platform import AWS_ERRORS, Platform, tail
from batch_cli.demo.samples import samples
from batch_cli.demo.scenario import Scenario
from batch_cli.demo.stages import Stages
from batch_engine.local.server.client_environment import to_set, to_unset
from batch_engine.local.server.state import holder_pid

ROOT = Path(__file__).resolve().parents[2]


def run_demo(*, output: Path, data_dir: Path) -> None:
    """Run it.

    Args:
        output: where the results go; what an earlier demo left there is removed.
        data_dir: where the local cloud keeps its state; likewise.

    Raises:
        DemoError: something did not go as it must. Nothing is left running.
        KeyboardInterrupt: the user had enough. Nothing is left running.
    """
    if (pid := holder_pid(data_dir)) is not None:
        raise DemoError(
            f"another demo (pid {pid}) runs in {data_dir}: wait for it, or choose another --data-dir"
        )
    fresh_folder(output)
    fresh_folder(data_dir, secret=True)
    console = Console()
    stages = Stages(console)
    start = time.monotonic()
    with Children() as children:
        platform = Platform(ROOT, data_dir, children)
        try:
            _tell_the_story(platform, stages, console, output)
        except AWS_ERRORS as error:
            raise DemoError(
                f"a call to the local cloud failed: {error}\n{tail(platform.server_log)}"
            ) from error
        with stages.stage("Stop everything") as stage:
            platform.stop()
            stage.result = "no process is left"
    console.print(
        f"\n[bold]{time.monotonic() - start:.1f} s[/bold] in all. Logs: {escape(str(data_dir))}",
        highlight=False,
        soft_wrap=True,
    )


def _tell_the_story(platform: Platform, stages: Stages, console: Console, output: Path) -> None:
    with stages.stage("Start the local cloud") as stage:
        record = platform.start()
        stage.result = record.endpoint_url
        # Whatever the user's profile says, nothing that runs from here on reaches the real AWS.
        for name in to_unset(os.environ):
            del os.environ[name]
        os.environ.update(to_set(record.endpoint_url, record.region))
    with stages.stage("cdk synth and cdk bootstrap"):
        # The first reads app.py, the second talks to the cloud: two cores, two commands.
        synth, bootstrap = platform.synthesize(), platform.bootstrap()
        platform.finish("cdk-bootstrap", bootstrap)
        platform.finish("cdk-synth", synth)
    with stages.stage("cdk deploy") as stage:
        platform.finish("cdk-deploy", platform.deploy())
        stage.result = f"stack outputs: {len(platform.read_outputs())}"
    scenario, files = Scenario(platform), samples(platform.root)
    with stages.stage("Drop three files in the input bucket") as stage:
        scenario.open_inbox()
        scenario.upload(files)
        stage.result = platform.outputs["InputBucketName"]
    with stages.stage("EventBridge, Lambda, SubmitJob, queue, worker"):
        results = scenario.follow(files, stages.update)
    with stages.stage("Failure messages through SNS"):
        failures = sum(result.job["status"] == "FAILED" for result in results)
        messages = scenario.failure_messages(failures)
    with stages.stage("Fetch the results"):
        scenario.download(results, output)
    report.show(console, results, messages, output)
    report.write(output, stages.done, results, messages)
