"""Runs the demo from beginning to end."""

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
    """Runs the demo. All its processes have ended when it returns, even after an error.

    Args:
        output: the folder for the results. Results of an earlier demo are removed.
        data_dir: the folder for the local cloud's state and the logs. Those of an earlier demo are removed.

    Raises:
        DemoError: a step failed or its result was wrong.
        KeyboardInterrupt: the user interrupted the demo.
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
            _run_stages(platform, stages, console, output)
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


def _run_stages(platform: Platform, stages: Stages, console: Console, output: Path) -> None:
    with stages.stage("Start the local cloud") as stage:
        record = platform.start()
        stage.result = record.endpoint_url
        # From here on no call reaches the real AWS, even if the user's shell has a profile for it.
        for name in to_unset(os.environ):
            del os.environ[name]
        os.environ.update(to_set(record.endpoint_url, record.region))
    with stages.stage("cdk synth and cdk bootstrap"):
        # In parallel: synth needs only app.py, bootstrap needs only the cloud.
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
