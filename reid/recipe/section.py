"""What all sections of a recipe share."""

from pydantic import BaseModel, ConfigDict

MOST = 10_000_000  # of any count: epochs, steps, crops; more is a slip, or ends in errors of memory
LARGEST = 1e6  # of any weight, rate or scale


class Section(BaseModel):
    """Part of a recipe: unknown keys are refused, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
