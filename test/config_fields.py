"""The fields of a configuration, found in the annotations of its classes, and other values for them."""

import re
from collections.abc import Iterator
from types import EllipsisType
from typing import Any, NamedTuple, get_args, get_origin

from meanflow_audio_codec.configs.base import Config


def classes_in(annotation: Any) -> list[type[Config]]:
    """The configuration classes that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return [annotation]
    return [each for argument in getattr(annotation, "__args__", ()) for each in classes_in(argument)]


def is_pair(annotation: Any) -> bool:
    """A tuple of fixed length, whose elements mean different things."""
    return get_origin(annotation) is tuple and EllipsisType not in map(type, get_args(annotation))


def fields(model: type[Config], value: Config | None = None, prefix: str = "") -> Iterator[str]:
    """Dotted paths of all fields that a class allows, or of those that one value of it has.

    Where a part may be of several classes, the class follows in brackets; `kind`, which only names it, is left out.
    Of a tuple of parts, the path of the first has its number, 0.
    """
    for name, field in model.model_fields.items():
        classes = classes_in(field.annotation)
        part = getattr(value, name) if value is not None else None
        if classes and get_origin(field.annotation) is tuple:  # of parts of one class: the first stands for all
            (each,) = classes
            yield from fields(each, part[0] if part else None, f"{prefix}{name}.0.")
            continue
        for each in classes:
            path = f"{prefix}{name}[{each.__name__}]." if len(classes) > 1 else f"{prefix}{name}."
            if value is None or type(part) is each:
                yield from fields(each, part, path)
        if is_pair(field.annotation):
            yield from (f"{prefix}{name}.{index}" for index in range(len(get_args(field.annotation))))
        elif not classes and name != "kind":
            yield f"{prefix}{name}"


def other_values(value: Any, annotation: Any) -> Iterator[Any]:
    """Values of the same type, some of which may be out of range."""
    match value:
        case bool():
            yield not value
        case int():
            yield from (each for each in (value + 1, value + 2, 0) if each != value)
        case float():
            yield from (value + 0.25, value - 0.25)
        case str():
            yield from (each for each in get_args(annotation) if each != value)
        case tuple():
            for index, element in enumerate(value):
                for each in other_values(element, None):
                    yield (*value[:index], each, *value[index + 1 :])
            if value:
                yield value[:-1]
            names = get_args(next(iter(get_args(annotation)), None))  # of a tuple of names, those it may hold
            yield from ((*value, name) for name in names if isinstance(name, str) and name not in value)


class Location(NamedTuple):
    """Names on the way to a part, and of its field; in a tuple of them the place, and what is meant of that."""

    parents: list[str]
    name: str
    place: int | None
    member: str | None


def location(field: str) -> Location:
    *parents, name = re.sub(r"\[\w+\]", "", field).split(".")
    if name.isdigit():
        return Location(parents[:-1], parents[-1], int(name), None)
    if parents and parents[-1].isdigit():
        return Location(parents[:-2], parents[-2], int(parents[-1]), name)
    return Location(parents, name, None, None)


def part_of(config: Config, parents: list[str]) -> Any:
    part: Any = config
    for parent in parents:
        part = getattr(part, parent)
    return part
