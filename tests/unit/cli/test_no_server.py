"""What the ``local`` commands say when there is no server on their data folder."""

from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from batch_cli.local.capacity import capacity
from batch_cli.local.env import env
from batch_cli.local.events import events
from batch_cli.local.interrupt import interrupt
from batch_cli.local.logs import logs
from batch_cli.local.status import status
from batch_cli.local.stop import stop

COMMANDS = [(capacity, []), (env, []), (interrupt, ["--job", "a"]), (logs, ["a"]), (status, []), (stop, [])]
COMMANDS += [(events, []), (events, ["--job", "a", "--last", "5", "--json"])]


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_in_the_default_folder_the_way_to_another_is_shown(
    command: Command, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert (
        f"Error: no local cloud is running on .batch-stack (in {tmp_path}): start one, or name the folder of "
        "another with --data-dir\n"
    ) in result.output


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_of_a_folder_that_was_named_no_more_is_said(
    command: Command, arguments: list[str], tmp_path: Path
) -> None:
    result = CliRunner().invoke(command, ["--data-dir", str(tmp_path), *arguments])
    assert result.exit_code == 1
    assert f"Error: no local cloud is running on {tmp_path}\n" in result.output
