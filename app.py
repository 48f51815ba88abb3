"""Makes a BatchStack from batch.yaml, or from another file: `cdk deploy -c settings=path.yaml`."""

import gc
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import batch_stack

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Synthesizes the stack into the folder that the CDK command names."""
    _import_side_by_side()
    app = batch_stack.App()
    path = Path(app.node.try_get_context("settings") or ROOT / "batch.yaml")
    try:
        settings = batch_stack.load_settings(path)
        stack = _build(app, settings, path)
        lock, create = path.with_suffix(".lock.json"), app.node.try_get_context("lock") == "create"
        batch_stack.check_against_lock(settings, lock, create=create, scope=stack)
    except batch_stack.SettingsError as error:
        raise SystemExit(str(error)) from None
    app.synth()


def _build(app: batch_stack.App, settings: batch_stack.Settings, path: Path) -> batch_stack.BatchStack:
    try:
        return batch_stack.BatchStack(
            app, settings.name, settings=settings, containers_dir=ROOT / "containers"
        )
    except batch_stack.SettingsError as error:
        raise batch_stack.SettingsError(f"{path}: {error}") from None


def _import_side_by_side() -> None:
    """Imports the settings while Node.js starts, and the constructs while it prepares the validation.

    Node.js handles one request at a time. So settings must not use it, and constructs should not use it at
    import, or they wait until it is ready (docs/adr/017).
    """
    import_module("jsii")  # First and alone, because this import starts Node.js.
    with ThreadPoolExecutor(max_workers=1) as pool:
        library = pool.submit(import_module, "aws_cdk")
        import_module("batch_stack.lock.check")
        library.result()
    import_module("batch_stack.stack")


if __name__ == "__main__":
    # The CDK's classes are hundreds of thousands of objects, all needed to the end. To collect garbage while
    # they load and when Python ends would take a tenth of the whole time (docs/adr/017).
    gc.disable()
    main()
    gc.freeze()
