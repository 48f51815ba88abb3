"""Reads settings from YAML, and reports all problems in one message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.wording import problems_of
from batch_stack.settings.root import Settings


def load_settings(path: Path | str) -> Settings:
    """Reads and checks a settings file.

    Args:
        path: the YAML file.

    Raises:
        SettingsError: the file is missing, is not YAML or has no setting, or a setting is unknown or out of
            range. The message has all problems, a line each.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingsError(f"{path}: cannot be read: {reason}") from error
    loader = _UniqueKeyLoader(text)
    loader.name = str(path)
    try:
        content = loader.get_single_data()
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    if content is None:
        # An empty file comes from an interrupted editor, or is not written yet. It does not ask for a
        # platform with every default.
        raise SettingsError(
            f"{path}: must have at least one setting, got none: for a platform with every default, write {{}}"
        )
    return parse_settings(content, source=str(path))


def parse_settings(content: object, *, source: str) -> Settings:
    """Checks settings that are in memory.

    Args:
        content: the content of a settings file.
        source: the name of their source, with which errors begin.

    Raises:
        SettingsError: as `load_settings`.
    """
    try:
        return Settings.model_validate(content).read_from(source)
    except ValidationError as error:
        problems = problems_of(error, Settings)
    raise SettingsError(_message(problems, source))


def _message(problems: Sequence[str], source: str) -> str:
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    return "\n  ".join([f"{source}: {len(problems)} settings are wrong", *problems])


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that a mapping has twice. YAML would silently take the later one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the field {name!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)
