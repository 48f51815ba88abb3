"""A podman of the tests' own: its storage in a temporary folder, its base image one static program.

No registry is asked for anything. Where podman, or a static busybox, is missing or does not work, the tests
that need them are skipped with the reason.
"""

import io
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

BASE_IMAGE = "localhost/batch-stack-test:1"
SETTINGS = """[containers]
default_ulimits = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
TIMEOUT_S = 60


class Podman:
    """Calls podman; ``cli`` is what ``--container-cli`` is given."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "containers.conf"
        settings.write_text(SETTINGS)
        words = ["env", f"CONTAINERS_CONF={settings}", "podman", "--storage-driver", "vfs"]
        if shutil.which("runc"):
            words += ["--runtime", "runc"]
        words += ["--root", str(folder / "root"), "--runroot", str(folder / "run")]
        self.cli = shlex.join(words)

    def __call__(self, *arguments: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            [*shlex.split(self.cli), *arguments],
            input=given,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode()

    def containers(self) -> list[str]:
        return self("ps", "--all", "--format", "{{.Names}}").split()


def working_podman(folder: Path) -> Podman:
    if not sys.platform.startswith("linux") or shutil.which("podman") is None:
        pytest.skip("podman is not installed: containers were not tested")
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox (static) is not installed: containers were not tested")
    podman = Podman(folder)
    try:
        podman("import", "-", BASE_IMAGE, given=root_file_system(Path(busybox)))
        podman("run", "--rm", "--network", "host", "--memory", "32m", BASE_IMAGE, "/bin/sh", "-c", ":")
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"podman does not work here: containers were not tested: {error}"[:400])
    return podman


def root_file_system(busybox: Path) -> bytes:
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files = {
        "bin/busybox": busybox.read_bytes(),
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nworker:x:1234:1235::/:/bin/sh\n",
        "etc/group": b"root:x:0:\nworkers:x:1235:\n",
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name in names:
            if name != "busybox":
                entry = tarfile.TarInfo(f"bin/{name}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
    return archive.getvalue()
