"""The base class of all settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.base.wording import problems_of


class _RaisesSettingsError(type(BaseModel)):  # type: ignore[misc]
    """Turns pydantic's `ValidationError` into `SettingsError` when a model is built in Python."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except ValidationError as error:
            problems = problems_of(error, cls)
            raise SettingsError("\n  ".join([f"{cls.__name__}: {problems[0]}", *problems[1:]])) from None


if TYPE_CHECKING:
    _Base = BaseModel
else:

    class _Base(BaseModel, metaclass=_RaisesSettingsError):
        pass


class SettingsModel(_Base):
    """Settings that are checked when they are made, cannot be changed, and refuse unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
