"""The settings of a batch platform as a whole."""

from __future__ import annotations

from pydantic import PrivateAttr, model_validator

from batch_stack.settings.checks import check_all
from batch_stack.settings.sections import Sections


class Settings(Sections):
    """All settings of `batch.yaml`. Each field has a default; unknown fields are refused."""

    _source: str | None = PrivateAttr(None)

    @property
    def source(self) -> str | None:
        """The file that the settings were read from, for messages; none for those made in Python."""
        return self._source

    def read_from(self, source: str) -> Settings:
        """Returns the same settings with the name of the file that they were read from."""
        settings = self.model_copy()
        settings._source = source
        return settings

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Settings:
        check_all(self)
        return self
