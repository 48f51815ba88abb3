"""Runs the installed `media-worker` and makes media to feed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(sys.executable).with_name("media-worker")


@dataclass(frozen=True)
class Result:
    """What became of one media file."""

    exit_code: int
    lines: list[dict[str, Any]]
    folder: Path

    @property
    def last(self) -> str:
        return str(self.lines[-1]["message"])

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "result.json").read_text()))

    def output(self, name: str) -> dict[str, Any]:
        return next(output for output in self.manifest["outputs"] if output["name"] == name)


@pytest.fixture(scope="session")
def sample() -> Path:
    return next(
        folder / "containers" / "media" / "sample"
        for folder in Path(__file__).parents
        if (folder / "containers").is_dir()
    )


@pytest.fixture(scope="session")
def video_bytes(sample: Path) -> bytes:
    return (sample / "bigbuckbunny.mp4").read_bytes()


@pytest.fixture
def work(tmp_path: Path) -> Callable[[Path | bytes], Result]:
    """Runs the worker on a file, or on bytes under a name that says nothing."""

    def run(source: Path | bytes) -> Result:
        if isinstance(source, bytes):
            (tmp_path / "upload").write_bytes(source)
            source = tmp_path / "upload"
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        end = subprocess.run(
            [WORKER, "--input", source, "--output", tmp_path / "out"],
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert list(scratch.iterdir()) == []
        lines = [json.loads(line) for line in end.stdout.splitlines()]
        return Result(end.returncode, lines, tmp_path / "out" / source.name)

    return run
