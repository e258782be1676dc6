"""The tag chunk: texts about a recording, such as its title."""

import re
import struct
from collections.abc import Mapping
from typing import Any, cast

from meanflow_audio_codec.codec.container.bitstream_error import BitstreamError
from meanflow_audio_codec.codec.container.chunks import MAX_BYTES, TAGS

MAX_KEY_BYTES = 32
MAX_VALUE_BYTES = 2**13
_KEY = re.compile(r"[a-z0-9_-]{1,32}")
_VALUE_SIZE = struct.Struct("<H")


def tag_problem(key: Any, value: Any) -> str | None:
    """Why a tag cannot be stored, or None if it can."""
    for what, text in (("key", key), ("value", value)):
        if not isinstance(text, str):
            return f"tag {str(key)[:40]!r}: the {what} must be text, not {type(text).__name__}"
    if not _KEY.fullmatch(key):
        return f"tag {key[:40]!r}: a key has 1 ... {MAX_KEY_BYTES} of the characters a-z 0-9 _ -"
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        return f"tag {key}: the value is not valid Unicode"
    if not 1 <= size <= MAX_VALUE_BYTES:
        return f"tag {key}: the value has {size} bytes of UTF-8, not 1 ... {MAX_VALUE_BYTES}"
    if "\0" in value:
        return f"tag {key}: the value has a zero character"
    return None


def tags_to_bytes(tags: Mapping[str, Any]) -> bytes:
    """The content of the chunk.

    Raises:
        BitstreamError: a key or value that cannot be stored, or more than 64 KiB of them.
    """
    parts: list[bytes] = []
    if not isinstance(cast(Any, tags), Mapping):
        raise BitstreamError(f"tags must be a mapping of keys to texts, not {type(tags).__name__}")
    for key, value in tags.items():
        problem = tag_problem(key, value)
        if problem is not None:
            raise BitstreamError(problem)
        encoded = value.encode("utf-8")
        parts += [bytes([len(key)]), key.encode(), _VALUE_SIZE.pack(len(encoded)), encoded]
    content = b"".join(parts)
    if len(content) > MAX_BYTES[TAGS]:
        raise BitstreamError(f"the tags take {len(content)} bytes, more than {MAX_BYTES[TAGS]}: leave some out")
    return content


def tags_from_bytes(content: bytes) -> dict[str, str]:
    """The tags in a chunk's content.

    Raises:
        BitstreamError: the content is malformed, a tag could not have been written, or a key occurs twice.
    """
    tags: dict[str, str] = {}
    position = 0
    while position < len(content):
        key_end = position + 1 + content[position]
        value_start = key_end + _VALUE_SIZE.size
        if value_start > len(content):
            raise BitstreamError("the tags are malformed: a key goes beyond their end")
        value_end = value_start + _VALUE_SIZE.unpack_from(content, key_end)[0]
        if value_end > len(content):
            raise BitstreamError("the tags are malformed: a value goes beyond their end")
        try:
            key = content[position + 1 : key_end].decode("ascii")
            value = content[value_start:value_end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise BitstreamError("the tags are malformed: a text is not UTF-8") from error
        problem = tag_problem(key, value)
        if problem is not None or key in tags:
            raise BitstreamError(problem or f"tag {key} occurs twice")
        tags[key] = value
        position = value_end
    return tags
