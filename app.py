"""The composition root: batch.yaml becomes a BatchStack. Another file: `cdk deploy -c settings=path.yaml`."""

import gc
from pathlib import Path

from batch_stack import App, BatchStack, SettingsError, check_against_lock, load_settings

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Synthesise the stack into the folder that the CDK command asks for."""
    app = App()
    path = Path(app.node.try_get_context("settings") or ROOT / "batch.yaml")
    try:
        settings = load_settings(path)
        BatchStack(app, settings.name, settings=settings, containers_dir=ROOT / "containers")
        lock = path.with_suffix(".lock.json")
        check_against_lock(settings, lock, create=app.node.try_get_context("lock") == "create")
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    app.synth()


if __name__ == "__main__":
    # The library's classes are hundreds of thousands of objects, needed to the end: looking through them for
    # garbage, while they load and when Python ends, takes a tenth of the whole time (docs/adr/017).
    gc.disable()
    main()
    gc.freeze()
