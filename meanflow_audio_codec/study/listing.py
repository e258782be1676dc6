"""What a cell is and costs, for people and programs."""

from typing import Any

from meanflow_audio_codec.study.cells import StudyCell
from meanflow_audio_codec.study.compute import flops_per_step, num_parameters
from meanflow_audio_codec.study.results import identity

# One core of a server of 2023: what the networks reach, and what start, compilation and scoring take.
FLOPS_PER_SECOND = 4e10
OVERHEAD_SECONDS = {"smoke": 5.0, "small": 30.0, "full": 120.0}


def describe(cell: StudyCell) -> dict[str, Any]:
    """Identity, size, cost and resolved configuration of a cell."""
    config = cell.config(0)
    flops = flops_per_step(config)
    decoder = config.decoder.architecture
    return identity(cell) | {
        "num_parameters": num_parameters(config),
        "flops_per_step": flops,
        "num_steps": config.training.num_steps,
        "batch_size": config.training.batch_size,
        "num_seeds": cell.num_seeds,
        "estimated_seconds": OVERHEAD_SECONDS[cell.preset] + flops * config.training.num_steps / FLOPS_PER_SECOND,
        "summary": (
            f"{config.dataset.kind}, {config.tokenizer.kind}, {config.normalization.kind}; {decoder.kind} of width "
            f"{decoder.width} and {decoder.num_blocks} blocks; {config.method.kind}"
        ),
        "config": config.model_dump(mode="json"),
    }
