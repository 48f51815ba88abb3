"""Volumes of process jobs where the engine is not root: mounted, or refused in words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
NOBODY = 65534
AS_NOBODY = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
# Only who has the capability may forbid further namespaces to itself.
WITHOUT_NAMESPACES = [
    "--keep-caps",
    "/bin/sh",
    "-c",
    'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"',
    "sh",
]
SCRIPT = """
import json, os, resource, sys
from pathlib import Path
from tests.unit.local.runtimes.test_process_runtime import Bench, shell

assert os.geteuid() != 0
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
folder = Path(sys.argv[1])
(folder / "source").mkdir()
(folder / "source" / "given").write_text("hello\\n")
target = "/mnt/batch-stack-test"
bench = Bench(folder)
mount = (str(folder / "source"), target)
script = f"cat {target}/given; echo back > {target}/made"
bench.start("writes", shell(script), mounts=[(*mount, False, False)])
bench.start("reads", shell(f"touch {target}/x || echo refused"), mounts=[(*mount, True, False)])
bench.start("comfort", shell("echo ran"), mounts=[(*mount, False, True)])
bench.start("pins", shell("ulimit -l"), limits=[("memlock", -1, -1)])
told = {}
for name in ("writes", "reads", "comfort", "pins"):
    over = lambda: [item for item in bench.reports if item[1] == (name, 1) and item[0] in ("ended", "failed")]
    with bench.changed:
        assert bench.changed.wait_for(over, 30), bench.reports
    told[name] = over()[0][2] if over()[0][0] == "failed" else bench.printed(name)
bench.runner.close(0.5)
made = folder / "source" / "made"
print(json.dumps(told | {"made": made.exists() and made.read_text()}))
"""


def works(*command):
    try:
        return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run(folder, *prefix):
    command = [*prefix, sys.executable, "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(
    not works(*AS_NOBODY, "unshare", "-rm"), reason="this system allows no user and mount namespaces"
)
def test_volumes_are_mounted_without_being_root(tmp_path):
    told = run(tmp_path, *AS_NOBODY)
    assert (told["writes"], told["made"]) == (["hello"], "back\n")
    assert told["reads"][-1] == "refused"
    assert told["comfort"] == ["ran"]
    assert told["pins"] == ["64"], "as much as the system allows: this is no machine with EFA"
    assert not Path("/mnt/batch-stack-test").exists()


@pytest.mark.skipif(
    not works(*AS_NOBODY, *WITHOUT_NAMESPACES), reason="this system allows no user namespaces of its own"
)
def test_without_mounts_a_volume_is_refused_and_an_optional_mount_left_out(tmp_path):
    told = run(tmp_path, *AS_NOBODY, *WITHOUT_NAMESPACES)
    refused = "CannotCreateContainerError: no volume can be mounted on this system: "
    assert told["writes"].startswith(refused)
    assert told["reads"].startswith(refused)
    assert told["made"] is False
    assert told["comfort"] == ["ran"]
