"""How the demo fails."""


class DemoError(Exception):
    """Something did not go as shown; the text says what, and which log tells more."""
