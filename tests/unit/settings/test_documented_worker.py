"""What docs/workers.md tells a reader to write is what the settings and the SDK take."""

import re
from pathlib import Path

import pytest
import yaml

from batch_stack.settings.root import Settings

ROOT = Path(__file__).resolve().parents[3]


def blocks(kind):
    text = (ROOT / "docs/workers.md").read_text()
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def test_the_documented_settings_are_accepted():
    first, second = (Settings.model_validate(yaml.safe_load(block)) for block in blocks("yaml"))
    assert first.jobs["upper"].folder == "upper"
    assert first.triggers["upper"].prefix == "upper/"
    assert sorted(second.jobs["upper"].secrets) == ["API_TOKEN", "DB_PASSWORD"]


def test_the_documented_job_is_told_what_the_worker_has_to_know():
    settings = Settings.model_validate(yaml.safe_load(blocks("yaml")[0]))
    assert settings.jobs["upper"].command == ["--input", "Ref::input", "--output", "Ref::output"]


def test_the_documented_worker_works(tmp_path, monkeypatch):
    (source,) = [block for block in blocks("python") if "def process" in block]
    namespace = {}
    exec(compile(source, "docs/workers.md", "exec"), namespace)
    (tmp_path / "in.txt").write_text("hello\n")
    monkeypatch.setattr(
        "sys.argv", ["upper", "--input", str(tmp_path / "in.txt"), "--output", f"{tmp_path}/out/"]
    )
    with pytest.raises(SystemExit) as end:
        namespace["main"]()
    assert end.value.code == 0
    assert (tmp_path / "out/in.txt/upper.txt").read_text() == "HELLO\n"
    assert (tmp_path / "out/in.txt/result.json").is_file()
