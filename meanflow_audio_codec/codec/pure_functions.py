"""The codec as pure JAX functions of weights and arrays, to be jitted, mapped and differentiated."""

from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from meanflow_audio_codec.inference.jax_settings import own_jax_settings
from meanflow_audio_codec.inference.pretrained import PretrainedModel
from meanflow_audio_codec.models.codec_model import CodecModel
from meanflow_audio_codec.models.coefficient_decoding import decode_coefficients
from meanflow_audio_codec.preprocessing.specs import SignalSpec
from meanflow_audio_codec.preprocessing.tokenizers import Tokenizer, build_tokenizer


@dataclass(frozen=True)
class PureFunctions:
    """Encoder and decoder over whole signals of one length, without windows, rate control or bytes.

    The weights are an argument, so that gradients may be taken in them. Side information is what the networks see: for
    a model of several bit rates the gains as the encoder knows them, in full detail.
    """

    pretrained: PretrainedModel

    @property
    def model(self) -> CodecModel:
        """The weights."""
        return self.pretrained.model

    @own_jax_settings()
    def encode(
        self, model: CodecModel, samples: Float[Array, "b samples"], point: int = 0
    ) -> tuple[Int[Array, "b n s"], Int[Array, "b n q"]]:
        """Side information and codes of signals at the model's rate.

        Raises:
            ValueError: the frames of a model of several bit rates are no whole number of blocks.
        """
        normalizer = self.pretrained.normalizer
        tokens = self._tokenizer(samples.shape[-1]).tokenize(samples)
        x, side, _ = normalizer.normalize_at(tokens, point)
        return side, model.encode(x, normalizer.features(side)).codes

    @own_jax_settings()
    def decode(
        self,
        model: CodecModel,
        side: Int[Array, "b n s"],
        codes: Int[Array, "b n q"],
        key: PRNGKeyArray,
        *,
        num_samples: int,
        num_steps: int = 1,
        temperature: float = 1.0,
    ) -> Float[Array, "b samples"]:
        """Signals of `num_samples` at the model's rate."""
        tokenizer = self._tokenizer(num_samples)
        noise = jax.random.normal(key, (*codes.shape[:2], tokenizer.spec.channels))
        coefficients = decode_coefficients(
            self.pretrained.method,
            self.pretrained.normalizer,
            model,
            side,
            codes,
            noise,
            num_steps=num_steps,
            temperature=temperature,
        )
        return tokenizer.detokenize(coefficients)

    def _tokenizer(self, num_samples: int) -> Tokenizer:
        signal = SignalSpec((num_samples,), self.pretrained.signal.sample_rate)
        return build_tokenizer(self.pretrained.config.tokenizer, signal)
