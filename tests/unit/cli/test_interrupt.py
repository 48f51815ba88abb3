"""``batch-stack local interrupt``: what it refuses before it asks anybody."""

import pytest
from click.testing import CliRunner

from batch_cli.local.interrupt import interrupt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "exactly one of --job, --instance and --compute-environment"),
        (["--job", "a", "--instance", "b"], "exactly one of"),
        (["--job", "a", "--notice", "-1"], "is not in the range"),
        (["--job", "a"], "no local cloud is running on"),
    ],
)
def test_refused(tmp_path, arguments, message):
    result = CliRunner().invoke(interrupt, ["--data-dir", str(tmp_path), *arguments])
    assert result.exit_code != 0
    assert message in result.output
