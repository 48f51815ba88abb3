"""Measures `cdk synth` of the default app, against a Node.js app with the same resources.

The Node.js app includes our finished template (``CfnInclude``). It uses the library in the archives of the
Python packages, the same Node.js and the same feature flags. So the difference is the time of Python, jsii,
the constructs and their assets.
"""

import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from batch_stack.jsii_node.packaged_node import packaged_node

ROOT = Path(__file__).resolve().parents[1]
YARDSTICK = Path(__file__).with_name("synth_yardstick") / "app.js"
# The parts of the library that the app needs. The others are tools for custom resources.
PACKAGES = ("aws_cdk", "aws_cdk/cloud_assembly_schema", "constructs")
ROUNDS = 7
NODE = packaged_node() or Path(os.environ["JSII_NODE"])


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        app = [sys.executable, str(ROOT / "app.py")]
        _synthesise(app, folder / "first")
        yardstick = _yardstick(folder, folder / "first")
        _alone(yardstick, folder / "second")
        if _resources(folder / "first") != _resources(folder / "second"):
            raise RuntimeError("the Node.js app does not make the same resources as the app")
        seconds: dict[str, list[float]] = {"app": [], "yardstick": [], "app_alone": [], "yardstick_alone": []}
        for _ in range(ROUNDS):
            # In turns, so that other load on the machine affects both.
            for who, command in (("app", app), ("yardstick", yardstick)):
                seconds[who].append(_synthesise(command, folder / who))
                seconds[f"{who}_alone"].append(_alone(command, folder / f"{who}_alone"))
    medians = {who: statistics.median(times) for who, times in seconds.items()}
    ratio, alone = medians["app"] / medians["yardstick"], medians["app_alone"] / medians["yardstick_alone"]
    return {
        "ratio": round(ratio, 2),
        "ratio_without_the_command": round(alone, 2),
        "seconds": {who: [round(one, 3) for one in times] for who, times in seconds.items()},
        "says": (
            f"cdk synth of the default app takes {ratio:.2f} times as long as the same resources in "
            f"Node.js alone ({medians['app']:.2f} s and {medians['yardstick']:.2f} s); without the command "
            f"{alone:.2f} times ({medians['app_alone']:.2f} s and {medians['yardstick_alone']:.2f} s); "
            f"medians of {ROUNDS}"
        ),
    }


def _synthesise(app: list[str], outdir: Path) -> float:
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), "synth", "--quiet", "--output", str(outdir)]
    return _timed([*command, "--app", shlex.join(app)], {})


def _alone(app: list[str], outdir: Path) -> float:
    context = (ROOT / "cdk.json").read_text(encoding="utf-8")
    return _timed(
        app, {"CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(json.loads(context)["context"])}
    )


def _resources(assembly: Path) -> dict[str, Any]:
    (template,) = assembly.glob("*.template.json")
    return dict(json.loads(template.read_text(encoding="utf-8"))["Resources"])


def _timed(command: list[str], environment: Mapping[str, str]) -> float:
    path = os.pathsep.join([str(NODE.parent), os.environ["PATH"]])
    start = time.perf_counter()
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)} failed:\n{result.stderr}")
    return time.perf_counter() - start


def _yardstick(folder: Path, assembly: Path) -> list[str]:
    """Writes a Node.js app with the template of a cloud assembly into the folder. Returns its command."""
    (template,) = assembly.glob("*.template.json")
    spec = find_spec("constructs")
    if spec is None or spec.origin is None:
        raise RuntimeError("no Python package constructs: run `make setup`")
    for package in PACKAGES:
        (archive,) = (Path(spec.origin).parents[1] / package / "_jsii").glob("*.jsii.tgz")
        _unpack(archive, folder / "node_modules")
    shutil.copy(YARDSTICK, folder)
    return [str(NODE), str(folder / YARDSTICK.name), str(template)]


def _unpack(archive: Path, modules: Path) -> None:
    with tarfile.open(archive) as content:
        manifest = content.extractfile("package/package.json")
        if manifest is None:
            raise RuntimeError(f"{archive} is no Node.js package")
        target = modules / json.load(manifest)["name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=modules) as unpacked:
            content.extractall(unpacked, filter="data")
            (Path(unpacked) / "package").rename(target)
