"""What the documentation's site changes in the pages."""

from importlib import import_module

import pytest

from meanflow_audio_codec.tools.site_pages import OBJECTS, reference, with_links_to_code

PAGE = "user_guide/examples.md"
LINKS = (
    "[one](../../examples/one.py), [card](../../README.md#figures), [page](../glossary.md#frame), [out](https://a.b/c)"
)


def test_links_out_of_the_pages_lead_to_the_repository() -> None:
    assert with_links_to_code(LINKS, PAGE, "https://example.org/codec/") == (
        "[one](https://example.org/codec/blob/main/examples/one.py), "
        "[card](https://example.org/codec/blob/main/README.md#figures), [page](../glossary.md#frame), [out](https://a.b/c)"
    )


def test_without_its_address_files_are_named() -> None:
    assert with_links_to_code(LINKS, PAGE, "") == (
        "one (`examples/one.py`), card (`README.md`), [page](../glossary.md#frame), [out](https://a.b/c)"
    )


@pytest.mark.parametrize("name", OBJECTS)
def test_the_reference_names_what_there_is(name: str) -> None:
    assert f"::: meanflow_audio_codec.{name}\n" in reference()
    try:
        import_module(f"meanflow_audio_codec.{name}")
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(f"meanflow_audio_codec.{module}"), attribute)
