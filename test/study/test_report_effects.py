"""Effects of the study: what is compared with what, and what their intervals cover."""

from pathlib import Path

import numpy as np
import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.statistics.training_seeds import effect, pooled_effect
from meanflow_audio_codec.study.report.effects import Comparison, Effects, matched_pairs
from meanflow_audio_codec.study.report.records import Cell, Results, Run
from meanflow_audio_codec.study.report.sections.ablations import base_cell
from meanflow_audio_codec.study.report.sections.differences import carried_over

METHODS = Comparison("method", "improved-mean-flow", "autoencoder")
TOKENIZATIONS = Comparison("tokenization", "mdct", "reshape")
Scores = dict[tuple[str, str, str], tuple[dict[str, float], dict[str, np.ndarray]]]


def study(scores: dict[Cell, list[tuple[dict[str, float], dict[str, np.ndarray]]]]) -> Effects:
    """A study from the figures and items of every seed."""
    results = Results(Path("nowhere"), [], [])
    for cell, seeds in scores.items():
        for seed, (values, items) in enumerate(seeds):
            run = Run(cell, "-".join(cell), "smoke", seed, "finished", {}, values)
            results.runs.append(run)
            results._arrays[Path("nowhere") / "items" / run.file_name] = items
    return Effects(results)


def cell(method: str, architecture: str = "convnet", tokenization: str = "mdct", dataset: str = "mnist") -> Cell:
    return Cell("codec", method, architecture, tokenization, dataset)


def items(offset: float, dataset: str = "mnist") -> dict[str, np.ndarray]:
    difficulty = np.random.default_rng(0).gamma(3.0, 1.0, 40)
    return {"mse" if dataset == "mnist" else "mel": difficulty + offset + 0.01 * np.cos(np.arange(40) * offset)}


def test_items_are_paired() -> None:
    """Items differ by 1.7 in deviation, methods by 0.2 on each: the interval sees only the latter."""
    effects = study({cell("improved-mean-flow"): [({}, items(0.2))] * 2, cell("autoencoder"): [({}, items(0.0))] * 2})
    found = effects.of(METHODS, "mnist", "mse")
    assert found is not None
    assert found.mean == pytest.approx(0.2, abs=0.02)
    assert 0.18 < found.low < found.high < 0.22
    assert (found.verdict, found.basis) == ("worse", "items and seeds")


def test_higher_is_better_for_some_metrics() -> None:
    arrays = [{"psnr": np.linspace(10, 20, 30) + offset} for offset in (1.0, 0.0)]
    effects = study({cell("improved-mean-flow"): [({}, arrays[0])], cell("autoencoder"): [({}, arrays[1])]})
    found = effects.of(METHODS, "mnist", "psnr")
    assert found is not None
    assert (found.mean, found.verdict, found.basis) == (pytest.approx(1.0), "better", "items")


def test_pairs_count_once_each() -> None:
    """Differences 1 and 3 in two architectures, with different numbers of seeds: their mean is 2."""
    scores = {
        cell("improved-mean-flow", "convnet"): [({}, items(1.0)), ({}, items(1.0)), ({}, items(1.0))],
        cell("autoencoder", "convnet"): [({}, items(0.0))] * 3,
        cell("improved-mean-flow", "mlp"): [({}, items(3.0))],
        cell("autoencoder", "mlp"): [({}, items(0.0))],
        cell("improved-mean-flow", "mixer"): [({}, items(9.0))],
    }
    found = study(scores).of(METHODS, "mnist", "mse")
    assert found is not None
    assert len(found.pairs) == 2
    assert found.mean == pytest.approx(2.0, abs=0.02)
    assert found.basis == "items"
    one = study(scores).of(METHODS, "mnist", "mse", group=("convnet", "mdct"))
    assert one is not None
    assert (one.mean, one.basis) == (pytest.approx(1.0, abs=0.02), "items and seeds")


def test_items_without_a_value_are_left_out_of_both() -> None:
    first, second = np.array([1.0, np.nan, 5.0, 2.0]), np.array([0.0, 7.0, np.inf, 1.5])
    scores = {cell("improved-mean-flow"): [({}, {"mse": first})], cell("autoencoder"): [({}, {"mse": second})]}
    found = study(scores).of(METHODS, "mnist", "mse")
    assert found is not None
    assert found.mean == pytest.approx(0.75)


def test_figures_of_whole_sets() -> None:
    """Fréchet distances: over seeds where there are several, over three or more pairs otherwise, else no interval."""
    values = {"convnet": (10.0, 40.0), "mlp": (12.0, 44.0), "mixer": (11.0, 42.5)}
    scores = {}
    for architecture, pair in values.items():
        for method, value in zip(("improved-mean-flow", "autoencoder"), pair, strict=True):
            scores[cell(method, architecture)] = [({"frechet_distance": value}, {})]
    over_pairs = study(scores).of(METHODS, "mnist", "frechet_distance")
    assert over_pairs is not None
    assert over_pairs.mean == pytest.approx((-30.0 - 32.0 - 31.5) / 3)
    assert (over_pairs.basis, over_pairs.verdict) == ("groups", "better")
    single = study(scores).of(METHODS, "mnist", "frechet_distance", group=("mlp", "mdct"))
    assert single is not None
    assert (single.mean, single.basis, single.verdict) == (-32.0, "nothing", "unclear")
    for method, value in (("improved-mean-flow", 10.5), ("autoencoder", 41.0)):
        scores[cell(method)].append(({"frechet_distance": value}, {}))
    over_seeds = study(scores).of(METHODS, "mnist", "frechet_distance", group=("convnet", "mdct"))
    assert over_seeds is not None
    assert over_seeds.mean == pytest.approx(-30.25)
    assert (over_seeds.basis, over_seeds.verdict) == ("seeds", "better")


def test_what_is_matched() -> None:
    """Other factors than the method leave out the adversary; cells without a partner have no pair."""
    run = [({"mse": 1.0}, {})]
    effects = study(
        {
            cell("autoencoder"): run,
            cell("autoencoder", tokenization="reshape"): run,
            cell("adversarial"): run,
            cell("adversarial", tokenization="reshape"): run,
            cell("mean-flow"): run,
        }
    )
    assert matched_pairs(effects.results, TOKENIZATIONS, "mnist") == (
        (cell("autoencoder"), cell("autoencoder", tokenization="reshape")),
    )
    assert matched_pairs(effects.results, METHODS, "mnist") == ()
    assert effects.of(METHODS, "mnist", "mse") is None


def test_different_items_are_refused() -> None:
    scores = {
        cell("improved-mean-flow"): [({}, {"mse": np.ones(5)})],
        cell("autoencoder"): [({}, {"mse": np.ones(6)})],
    }
    with pytest.raises(InputError, match="different numbers of items"):
        study(scores).of(METHODS, "mnist", "mse")


@pytest.mark.parametrize(("on_audio", "answer"), [(0.2, "yes"), (-0.2, "no"), (0.0, "open")])
def test_carrying_over_is_the_same_direction(on_audio: float, answer: str) -> None:
    scores = {}
    for dataset, offset in (("mnist", 0.2), ("audio", on_audio)):
        scores[cell("improved-mean-flow", dataset=dataset)] = [({}, items(offset, dataset))]
        scores[cell("autoencoder", dataset=dataset)] = [({}, items(0.0, dataset))]
    ((comparison, role, images, audio, found),) = carried_over(study(scores))
    assert (comparison, role, found) == (METHODS, "distortion", answer)
    assert images is not None
    assert audio is not None
    assert (images.mean, audio.mean) == (pytest.approx(0.2, abs=0.02), pytest.approx(on_audio, abs=0.02))


def test_a_variant_is_compared_with_its_method() -> None:
    variant = Cell("codec-ablation", "improved-mean-flow-velocity-head", "convnet", "mdct", "audio")
    assert base_cell(variant) == cell("improved-mean-flow", dataset="audio")


def test_a_pool_of_one_is_a_plain_effect() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(1.0, 1.0, (3, 50)), random.normal(0.0, 1.0, (2, 50))
    plain = effect(first, second, num_resamples=500, seed=1)
    assert pooled_effect([first], [second], num_resamples=500, seed=1) == plain


def test_pooling_narrows_the_interval() -> None:
    """Independent seeds: four pairs have half the deviation of one."""
    random = np.random.default_rng(0)
    pairs = [[random.normal(0.0, 1.0, (40, 1)) for _ in range(4)] for _ in range(2)]
    pooled = pooled_effect(*pairs, num_resamples=2_000, seed=0)
    single = effect(pairs[0][0], pairs[1][0], num_resamples=2_000, seed=0)
    assert (single.high - single.low) / (pooled.high - pooled.low) == pytest.approx(2.0, rel=0.25)
    for values_b in ([], [np.ones((1, 3))] * 2):
        with pytest.raises(ValueError, match="pairs"):
            pooled_effect([np.ones((1, 3))], values_b, seed=0)
