"""The type of a request, of a response and of their parts, as they travel as JSON."""

from typing import Any

Wire = dict[str, Any]
"""An object with AWS's own camelCase members."""
