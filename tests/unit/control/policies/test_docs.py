"""docs/policies.md says all there is, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.control.policies.documents import read_document
from gateway.control.policies.keys import KEYS, SCOPE_LIMITS, STREAM_KEYS
from gateway.control.policies.rulefields import FieldType, field_names, ops_of

PAGE = (Path(__file__).parents[4] / "docs" / "policies.md").read_text(encoding="utf-8")


def test_every_key_is_explained() -> None:
    """Keys by their dotted name, those of the scopes by their last part."""
    scoped = re.compile(r"limits\.(account|tenant|workspace)\.")
    for key in [*(key for key in KEYS if not scoped.match(key)), *SCOPE_LIMITS]:
        assert f"`{key}`" in PAGE, key
    for key in STREAM_KEYS:
        assert f"`queue.streams.NAME.{key}`" in PAGE, key


def test_every_field_and_op_is_explained() -> None:
    """Of rules."""
    for word in {*field_names(), *(op for kind in FieldType for op in ops_of(kind))}:
        assert f"`{word}`" in PAGE, word


def test_examples_are_right() -> None:
    """Every TOML block reads without a problem."""
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        assert read_document(example, "docs/policies.md", "policy", "example").problems == ()
