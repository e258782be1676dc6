"""Operations per second of audio: of networks whose matrices can be counted by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from fixtures.tiny_models import scalable_codec, tiny_codec

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.inference.pretrained import named_parameters
from meanflow_audio_codec.tools.benchmarks.speed.matrix_operations import matrix_operations
from meanflow_audio_codec.tools.benchmarks.speed.operations import operations


def test_a_repeated_product_counts_as_often_as_it_is_repeated() -> None:
    matrix = jnp.ones((3, 3))

    def power(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 5, lambda _, y: y @ matrix, x)

    assert matrix_operations(jax.make_jaxpr(power)(jnp.ones((4, 3)))) == 5 * 2 * 4 * 3 * 3
    # XLA counts the same of one product.
    one = jax.jit(lambda x: x @ matrix).lower(jnp.ones((4, 3))).cost_analysis()
    assert one is not None
    assert one["flops"] == 2 * 4 * 3 * 3


def test_every_matrix_of_a_frame_counts_two_operations_per_weight() -> None:
    """Of ConvNeXt networks: the kernels but for the depthwise ones, which are sums of shifted copies."""
    pretrained = tiny_codec().pretrained
    found = operations(pretrained, 1)
    assert pretrained.signal.sample_rate is not None
    frames_per_second = pretrained.signal.sample_rate / pretrained.tokenizer.spec.channels
    sizes = {name: array.size for name, array in named_parameters(pretrained.model).items()}
    per_frame = sum(
        size
        for name, size in sizes.items()
        if name.startswith("encoder.") and name.endswith("kernel") and "convolution" not in name
    )
    assert per_frame > 0
    # Beside the networks' there is the transform of the eight gains, of at most eight products each.
    in_gains = found["encoder"].matrices - 2 * per_frame * frames_per_second
    assert 0.0 <= in_gains <= 2 * 2 * 8 * 8 * frames_per_second
    for part in found.values():
        assert 1.0 < part.all / part.matrices < 20.0
        assert part.context > 1.0


def test_two_evaluations_cost_the_decoder_twice_and_the_prior_once() -> None:
    pretrained = scalable_codec().pretrained
    one, two, three = (operations(pretrained, count)["receiver"].matrices for count in (1, 2, 3))
    assert three - two == pytest.approx(two - one, rel=1e-6)
    assert one > two - one > 0.0
    # The encoder does not depend on it.
    assert operations(pretrained, 1)["encoder"] == operations(pretrained, 3)["encoder"]


def test_what_is_no_codec_over_frames_is_refused() -> None:
    pretrained = scalable_codec().pretrained
    config = pretrained.config.model_copy(update={"encoder": None})
    with pytest.raises(InputError, match="is not an audio codec on MDCT frames"):
        operations(dataclasses.replace(pretrained, config=config), 1)
