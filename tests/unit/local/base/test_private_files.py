"""What holds secrets is nobody else's to read, whatever the umask says."""

import os
import stat

import pytest

from batch_cli.demo.folders import fresh_folder
from batch_engine.local.base import private_files
from batch_engine.local.base.private_files import make_private_file, make_private_folder
from batch_engine.local.delivery.deliveries import Deliveries
from batch_engine.local.server.batch_only import build_batch_engine
from batch_engine.local.server.state import exclusive


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("user", "wanted"), [(0, 0o711), (1000, 0o700)], ids=["root", "anybody else"])
def test_a_data_folder(tmp_path, monkeypatch, user, wanted):
    """Where root runs the engine, a job of another user has to get to its own folder."""
    monkeypatch.setattr(private_files.os, "geteuid", lambda: user)
    make_private_folder(tmp_path / "a" / "data")
    assert mode(tmp_path / "a" / "data") == wanted
    (tmp_path / "given").mkdir(mode=0o755)
    make_private_folder(tmp_path / "given")
    assert mode(tmp_path / "given") == 0o755, "whoever made it decides"


def test_the_demos_folder_and_the_one_around_it(tmp_path):
    data = tmp_path / ".batch-stack" / "demo"
    fresh_folder(data, secret=True)
    assert [mode(data) & 0o066, mode(data.parent) & 0o066] == [0, 0]
    fresh_folder(tmp_path / "demo-output")
    assert mode(tmp_path / "demo-output") & 0o044


def test_the_engines_folder_and_its_state_file(tmp_path):
    engine = build_batch_engine(tmp_path / "data", "http://127.0.0.1:1")
    queue = {"name": "p", "fairsharePolicy": {"shareDecaySeconds": 1}}
    engine.call("CreateSchedulingPolicy", queue)
    assert mode(tmp_path / "data") & 0o066 == 0
    files = sorted((tmp_path / "data").glob("batch.sqlite*"))
    assert len(files) == 3, "with the log that SQLite writes ahead"
    assert {mode(file) for file in files} == {0o600}
    engine.stop()


def test_other_files_and_folders(tmp_path):
    with exclusive(tmp_path / "data"):
        assert mode(tmp_path / "data") & 0o066 == 0
    deliveries = Deliveries(tmp_path / "deliveries.sqlite")
    assert mode(tmp_path / "deliveries.sqlite") == 0o600
    deliveries.close()


def test_an_existing_file_stays_unchanged(tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    path.chmod(0o444)
    make_private_file(path)
    assert (path.read_text(), mode(path)) == ("text", 0o444)
