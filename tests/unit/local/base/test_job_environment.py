"""Where jobs that are processes look for programs."""

import pytest

from batch_engine.local.base.job_environment import jobs_path


@pytest.mark.parametrize(
    ("inherited", "path"),
    [
        ("/usr/bin:/bin", "/venv/bin:/usr/bin:/bin"),
        ("/venv/bin:/usr/bin", "/venv/bin:/usr/bin"),
        ("/workflows/bin:/venv/bin:/usr/bin", "/workflows/bin:/venv/bin:/usr/bin"),
        ("/venv/bin/more:/bin", "/venv/bin:/venv/bin/more:/bin"),
    ],
    ids=["not on it", "first on it", "behind the user's own", "another folder"],
)
def test_the_users_order_counts(inherited, path):
    assert jobs_path("/venv/bin/python", inherited) == path
