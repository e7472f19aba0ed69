"""What a message asks for in X-Gatepost fields of its own header; they are removed before signing.

X-Gatepost-Stream: transactional            at most once
X-Gatepost-Tag: welcome                     up to 10 times
X-Gatepost-Metadata: {"order": "1234"}      at most once: a JSON object of texts
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gateway.mail.reply import Refusal, Reply
from gateway.outgoing.policy.values import MessageOptions

if TYPE_CHECKING:
    from gateway.mail.headers import Field
    from gateway.outgoing.policy.values import FieldsByName, GivenOptions

STREAM = b"x-gatepost-stream"
TAG = b"x-gatepost-tag"
METADATA = b"x-gatepost-metadata"

TAGS_LIMIT = 10
PAIRS_LIMIT = 50
PAIR_KEY_LIMIT = 40
PAIR_VALUE_LIMIT = 500

_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,63}")


def read_options(
    fields: FieldsByName, default_stream: str, given: GivenOptions | None = None
) -> MessageOptions:
    """What a header asks for, and what was `given` beside it: a stream, tags or pairs given go before.

    Raises Refusal (550 5.6.0, naming the field).
    """
    if STREAM not in fields and TAG not in fields and METADATA not in fields:
        options = MessageOptions(default_stream)
    else:
        stream = _one(fields, STREAM)
        metadata = _one(fields, METADATA)
        options = MessageOptions(
            stream=default_stream if stream is None else stream_name(_text(stream)),
            tags=_check_tags(_text(field) for field in fields.get(TAG, ())),
            metadata={} if metadata is None else _read_metadata(metadata),
        )
    return options if given is None else _with_given(options, given)


def _with_given(options: MessageOptions, given: GivenOptions) -> MessageOptions:
    return MessageOptions(
        stream=options.stream if given.stream is None else stream_name(given.stream),
        tags=_check_tags((*given.tags, *options.tags)),
        metadata=_check_pairs([*{**options.metadata, **given.metadata}.items()]),
    )


def _one(fields: FieldsByName, key: bytes) -> Field | None:
    found = fields.get(key, ())
    if len(found) > 1:
        raise _refusal(key, f"stands there {len(found)} times; give it once")
    return found[0] if found else None


def _text(field: Field) -> str:
    try:
        return field.value.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal(field.key, "is not UTF-8") from None


def stream_name(text: str) -> str:
    """A stream as it is stored. Raises Refusal (550)."""
    name = text.lower()
    if not _STREAM_NAME.fullmatch(name):
        raise _refusal(STREAM, "names no stream: 1 to 32 of a-z, 0-9, - and _")
    return name


def _check_tags(texts: Iterable[str]) -> tuple[str, ...]:
    tags = dict.fromkeys(texts)
    if len(tags) > TAGS_LIMIT:
        raise _refusal(TAG, f"gives {len(tags)} tags; at most {TAGS_LIMIT} are allowed")
    for tag in tags:
        if not _TAG_NAME.fullmatch(tag):
            raise _refusal(TAG, "is no tag: 1 to 64 letters, digits and any of . _ : / @ + -")
    return tuple(tags)


def _read_metadata(field: Field) -> dict[str, str]:
    try:
        pairs = json.loads(_text(field), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise _refusal(METADATA, 'is not a JSON object, such as {"order": "1234"}') from None
    if not isinstance(pairs, _Pairs):
        raise _refusal(METADATA, 'is not a JSON object, such as {"order": "1234"}')
    return _check_pairs(pairs)


def _check_pairs(pairs: Sequence[tuple[str, object]]) -> dict[str, str]:
    if len(pairs) > PAIRS_LIMIT:
        raise _refusal(METADATA, f"has {len(pairs)} pairs; at most {PAIRS_LIMIT} are allowed")
    metadata: dict[str, str] = {}
    for key, value in pairs:
        if not isinstance(value, str):
            raise _refusal(METADATA, f'has a value that is no text; write {{"key": "{_plain(value)}"}}')
        if not 0 < len(key) <= PAIR_KEY_LIMIT or len(value) > PAIR_VALUE_LIMIT:
            sizes = f"keys have 1 to {PAIR_KEY_LIMIT} characters, values up to {PAIR_VALUE_LIMIT}"
            raise _refusal(METADATA, f"has a pair that is too long: {sizes}")
        if key in metadata:
            raise _refusal(METADATA, "has a key twice")
        # NUL fits in no database text, half of a surrogate pair in no UTF-8 at all.
        if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in key + value):
            raise _refusal(METADATA, "has a character that is no text (NUL or half a surrogate pair)")
        metadata[key] = value
    return metadata


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written, repeated keys included."""


def _plain(value: object) -> str:
    return str(value) if isinstance(value, int | float) else "text"


def _refusal(key: bytes, what: str) -> Refusal:
    name = "-".join(word.capitalize() for word in key.decode("ascii").split("-"))
    return Refusal(Reply(550, "5.6.0", f"the field {name} {what}"), f"options.{name.lower()}")
