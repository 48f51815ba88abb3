"""The hooks of pre-commit run what `make setup` installed, and refuse what `make check` would refuse."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / ".pre-commit-config.yaml"
BIN = Path(sys.executable).parent
FORMATTED = '"""A module."""\n\nNAMES = ["a", "b"]\n'
NOT_FORMATTED = '"""A module."""\nNAMES = [ "a","b" ]\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the project's hooks and linter settings, and its installed tools."""
    for name in (CONFIG.name, "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").symlink_to(BIN.parent)
    (tmp_path / ".gitignore").write_text(".venv\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def run_hook(repository: Path, hook: str, text: str) -> subprocess.CompletedProcess[str]:
    (repository / "module.py").write_text(text)
    subprocess.run(["git", "add", "--all"], cwd=repository, check=True)
    command = [str(BIN / "pre-commit"), "run", hook]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=120)


def test_every_hook_runs_an_installed_program_and_downloads_nothing() -> None:
    repositories = yaml.safe_load(CONFIG.read_text())["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]

    assert {repository["repo"] for repository in repositories} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    for hook in hooks:
        program = Path(hook["entry"].split()[0])
        assert program.parent == Path(".venv/bin"), hook["id"]
        assert (BIN / program.name).exists(), hook["id"]


@pytest.mark.parametrize(
    ("hook", "good", "bad"),
    [
        ("ruff-check", FORMATTED, FORMATTED + "print(NAMES)\n"),
        ("ruff-format", FORMATTED, NOT_FORMATTED),
    ],
)
def test_hooks_look_at_what_is_committed(repository: Path, hook: str, good: str, bad: str) -> None:
    accepted, refused = run_hook(repository, hook, good), run_hook(repository, hook, bad)

    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    assert refused.returncode == 1
    assert "module.py" in refused.stdout
