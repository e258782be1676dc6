"""Recipes: one readable file per experiment, with its command, duration and expected score.

A recipe is a module of this package that defines `config() -> ExperimentConfig`; its name on the command line is the
module's, with hyphens.
"""

from importlib import import_module
from pkgutil import iter_modules

from meanflow_audio_codec.configs.experiment import ExperimentConfig
from meanflow_audio_codec.errors import InputError


def recipe_names() -> list[str]:
    """Names of all recipes."""
    return sorted(module.name.replace("_", "-") for module in iter_modules(__path__))


def recipe(name: str) -> ExperimentConfig:
    """The configuration of a recipe.

    Raises:
        InputError: there is no recipe of this name.
    """
    if name not in recipe_names():
        raise InputError(f"{name}: no such recipe; choose from {', '.join(recipe_names())}, or give a .json file")
    return import_module(f"{__name__}.{name.replace('-', '_')}").config()
