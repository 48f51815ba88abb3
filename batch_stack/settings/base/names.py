"""Names of entries in the settings: their form, the construct ids for them, and hints for wrong names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_MAX_CHARACTERS = 40


def is_name(name: str) -> bool:
    """Returns whether an entry of the settings can have this name."""
    return len(name) <= _MAX_CHARACTERS and _NAME.fullmatch(name) is not None


def construct_id(name: str) -> str:
    """Returns the part of a construct's id for a name in the settings: `MyJob` for `my-job`."""
    return "".join(part.capitalize() for part in re.split("[-_]", name))


_SUFFIX_OF = {
    "compute": "Compute",
    "consumable_resources": "Consumable",
    "tiers": "Tier",
    "jobs": "Job",
    "triggers": "Trigger",
    "schedules": "Schedule",
    "submitters": "Submitter",
}


def id_of_entry(section: str, name: str) -> str:
    """Returns the id of the construct for an entry of the settings: `BulkTier` for `tiers.bulk`.

    Args:
        section: a section whose entries have names.
        name: the name of the entry.

    Raises:
        KeyError: the section has no such entries.
    """
    return construct_id(name) + _SUFFIX_OF[section]


def known(names: Collection[str]) -> str:
    """Returns the allowed names as the text of a message."""
    return ", ".join(names) or "(none defined)"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns the end of a message that refuses a name: the closest known name, or an empty string.

    Args:
        name: the name that was given.
        names: the known names.
    """
    close = get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
