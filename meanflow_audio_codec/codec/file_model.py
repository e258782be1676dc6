"""Which model decodes a file: the one that it names, where that comes with the package."""

from meanflow_audio_codec.codec.container import BitstreamError, Header
from meanflow_audio_codec.codec.pretrained import built_in_models


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
