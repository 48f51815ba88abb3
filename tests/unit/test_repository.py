"""What no file of the project may hold."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Written in two parts, so that this file does not hold them either.
REGISTRIES = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)")))


def tracked_texts():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, names.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            try:
                yield name, path.read_text()
            except UnicodeDecodeError:
                continue


def test_no_file_names_a_registry():
    found = {name: match.group(0) for name, text in tracked_texts() if (match := REGISTRIES.search(text))}
    assert found == {}


def test_lambdas_need_the_standard_library_and_boto3_only():
    allowed = {"__future__", "boto3", "botocore", "logic"}
    for path in ROOT.glob("lambdas/*/*.py"):
        modules = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)

        assert set(modules) <= allowed | set(sys.stdlib_module_names), path


def test_workers_import_nothing_of_the_platform():
    for path in ROOT.glob("containers/**/*.py"):
        modules = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
        assert not modules & {"batch_stack", "batch_engine", "batch_cli"}, path
