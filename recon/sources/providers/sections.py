"""What sections of the configuration are made of, and what the section of every provider has."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def refuse_bool(value: object) -> object:
    """A whole number as it is; ValueError for true and false, which Python takes for numbers."""
    if isinstance(value, bool):
        raise ValueError("a whole number is wanted, not true or false")
    return value


def web_url(value: str) -> str:
    """The address without a slash at its end; ValueError when it is none."""
    if not re.match(r"https?://[^/\s?#]+", value) or any(ch.isspace() for ch in value):
        raise ValueError("an address that begins with http:// or https:// is wanted")
    return value.rstrip("/")


Whole = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0)]
Retries = Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=10)]
"""Further tries of a call after the first."""
WebUrl = Annotated[str, AfterValidator(web_url)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class Section(BaseModel):
    """A part of the file: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderSection(Section):
    """``[<provider>]``: naming the section puts the provider in scope unless ``enabled`` says no.

    A section of its own adds ``api_key_variable`` where the provider needs a key, and whatever else it needs.
    """

    enabled: bool | None = None
    account: str = Field(default="", max_length=200)
    calls_per_s: float = Field(default=5.0, gt=0, le=1000)
