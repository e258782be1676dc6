"""The base of every configuration: frozen, strict, complete."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen configuration; an unknown field or a value out of range is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
