"""Images that run as somebody else than root can write where their jobs are told to."""

import re
import subprocess
from pathlib import Path

import pytest

from batch_stack.settings.volumes import SCRATCH

ROOT = Path(__file__).resolve().parents[2]
_OPEN_TO_ALL = re.compile(rf"-m\W+1777\W+{SCRATCH}\b")


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def _dockerfiles() -> dict[str, str]:
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    found = {}
    for name in names:
        path = ROOT / name
        if not path.is_file():
            continue
        if path.name.startswith("Dockerfile"):
            found[name] = path.read_text()
        elif path.suffix == ".md":
            snippets = re.findall(r"```dockerfile\n(.*?)```", path.read_text(), re.DOTALL)
            found |= {f"{name} ({index})": text for index, text in enumerate(snippets)}
    return found


def _why_scratch_is_closed(text: str) -> str | None:
    """On AWS the root is read-only, and an empty volume has the owner and mode of the image's folder."""
    instructions = _instructions(text)
    users = [index for index, (word, _) in enumerate(instructions) if word == "USER"]
    if not users or instructions[users[-1]][1].partition(":")[0] in ("root", "0"):
        return None
    made = [
        index
        for index, (word, rest) in enumerate(instructions)
        if word == "RUN" and _OPEN_TO_ALL.search(rest)
    ]
    if not made or made[0] > users[0]:
        return f"makes no {SCRATCH} for all before USER"
    volumes = [
        index for index, (word, rest) in enumerate(instructions) if word == "VOLUME" and SCRATCH in rest
    ]
    return None if volumes and volumes[0] > made[0] else f"has no VOLUME {SCRATCH} after it is made"


DOCKERFILES = _dockerfiles()


def test_all_are_found() -> None:
    assert {
        "containers/media/Dockerfile",
        "docs/workers.md (0)",
        "examples/import-into-another-stack/containers/index/Dockerfile",
    } <= DOCKERFILES.keys()


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_whoever_is_not_root_can_write_to_scratch(name: str) -> None:
    assert _why_scratch_is_closed(DOCKERFILES[name]) is None


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("FROM a\nUSER 10001\n", True),
        ("FROM a\nUSER 10001\nRUN install -d -m 1777 /scratch\nVOLUME /scratch\n", True),
        ("FROM a\nRUN install -d -m 1777 /scratch\nUSER 10001\n", True),
        ('FROM a\nRUN ["install", "-d", "-m", "1777", "/scratch"]\nVOLUME /scratch\nUSER 1:1\n', False),
        ("FROM a\nUSER root\n", False),
        ("FROM a\n", False),
    ],
)
def test_the_rule_itself(text: str, closed: bool) -> None:
    assert (_why_scratch_is_closed(text) is not None) == closed
