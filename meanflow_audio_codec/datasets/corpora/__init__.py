"""Public corpora: one file each, with where it is published, its checksums, licence and splits.

A corpus is a module of this package that defines `corpus() -> Corpus`; its name on the command line is the module's.
"""

from importlib import import_module
from pkgutil import iter_modules

from meanflow_audio_codec.datasets.downloads.corpus import Corpus
from meanflow_audio_codec.errors import InputError


def corpus_names() -> list[str]:
    """Names of all corpora."""
    return sorted(module.name for module in iter_modules(__path__))


def find_corpus(name: str) -> Corpus:
    """The corpus of this name.

    Raises:
        InputError: there is none.
    """
    if name not in corpus_names():
        raise InputError(f"{name}: no such corpus; choose from {', '.join(corpus_names())}")
    return import_module(f"{__name__}.{name}").corpus()
