"""The demo's exception."""


class DemoError(Exception):
    """A step of the demo failed. The text says which one and names the log."""
