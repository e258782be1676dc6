"""What tells two configurations apart: every value, but no field that was added since at its default."""

import hashlib
import json
from typing import Any

from meanflow_audio_codec.configs.base import Config
from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.study.first_fields import FIRST_FIELDS


def config_hash(config: ExperimentConfig) -> str:
    """Twelve hexadecimal digits that change with any value, and do not when a field is added and left at its default.

    The default of an added field must therefore be what was computed before there was the field.
    """
    # Spaces and order as in the rows that were written when hashes covered a configuration's JSON.
    text = json.dumps(identifying_values(config), indent=2) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def identifying_values(value: Any) -> Any:
    """A value as JSON has it, parts of it without the later fields that are at their defaults."""
    if isinstance(value, tuple | list):
        return [identifying_values(element) for element in value]
    if not isinstance(value, Config):
        return value
    name, fields = type(value).__name__, type(value).model_fields
    first = [field for field in FIRST_FIELDS.get(name, ()) if field in fields]
    # A class that is new has nothing but later fields, so without its name it might read as another one.
    written: dict[str, Any] = {} if name in FIRST_FIELDS else {"class": name}
    written |= {field: identifying_values(getattr(value, field)) for field in first}
    for field in sorted(set(fields) - set(first)):
        later = identifying_values(getattr(value, field))
        if later != identifying_values(fields[field].get_default(call_default_factory=True)):
            written[field] = later
    return written
