"""Which model a file names, and whether file and model belong together."""

from meanflow_audio_codec.codec.container import BitstreamError, Header
from meanflow_audio_codec.inference.pretrained import PretrainedModel, built_in_models


def model_named_by(header: Header) -> str:
    """The built-in model that made a file. A name is looked up among them and never taken as a path.

    Raises:
        BitstreamError: the model does not come with this version.
    """
    models = built_in_models()
    if header.model not in models:
        raise BitstreamError(
            f"the file was made by model {header.model}, which does not come with this version "
            f"({', '.join(models)}): name its folder with --model"
        )
    return header.model


def check_header(header: Header, pretrained: PretrainedModel) -> None:
    """Make sure that a file was written by this very model.

    Raises:
        BitstreamError: another model, or other weights.
    """
    name, weights_hash = pretrained.name, pretrained.weights_hash
    if header.model != name:
        raise BitstreamError(f"the file was made by model {header.model}, not {name}: choose it with --model")
    if header.weights_hash != weights_hash:
        raise BitstreamError(
            f"the file was made with other weights of {name} ({header.weights_hash.hex()}, not {weights_hash.hex()}): "
            "use the release it was encoded with, or name the model's folder with --model"
        )
