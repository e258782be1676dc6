"""Some thousand hostile files through everything that reads files; the tool's own run has two hundred thousand."""

from functools import cache

import numpy as np
from fixtures.tiny_models import tiny_codec
from hypothesis import given, settings
from hypothesis import strategies as st

from meanflow_audio_codec.tools.fuzz_container import MUTATIONS, assemble, chunks_of, example_files, fuzz


@cache
def examples() -> list[bytes]:
    return example_files(tiny_codec(), np.random.default_rng(0))


def test_hostile_files_are_accepted_or_refused_on_one_line():
    report = fuzz(tiny_codec(), 4_000, seed=0)
    assert report["unexpected"] == []
    # All mutations occur, hardly any is harmless, and no reader lets through what another refuses for good.
    assert report["mutations"].keys() == MUTATIONS.keys()
    assert all(count > 2_500 for count in report["refused_by"].values())
    assert report["accepted_by_all"] > 20
    assert report["slowest_seconds"] < 2.0
    assert report["peak_memory_growth_mib"] < 64


def test_taking_a_file_apart_and_together_changes_nothing():
    for data in examples():
        for repair in (False, True):
            assert assemble(chunks_of(data), repair=repair) == data


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(MUTATIONS)), st.integers(0, 2**32 - 1))
def test_a_mutation_follows_from_its_seed(kind, seed):
    files = examples()
    first, second = (MUTATIONS[kind](files, np.random.default_rng(seed)) for _ in range(2))
    assert first == second
