"""What tells the runs of two configurations apart."""

import hashlib

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.configs.serialization import to_json


def config_hash(config: ExperimentConfig) -> str:
    """Twelve hexadecimal digits of the configuration as this version writes it: a row of results keeps its own."""
    return hashlib.sha256(to_json(config).encode()).hexdigest()[:12]
