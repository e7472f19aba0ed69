"""Filters that many lists share: whose a thing is, where, and in which state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from gateway.control.domains.find import find_domain
from gateway.control.errors import Invalid
from gateway.control.lookup import shown
from gateway.control.records import ENVIRONMENTS
from gateway.control.tenants.find import find_tenant
from gateway.control.workspaces.find import find_workspace

if TYPE_CHECKING:
    from gateway.control.paging import Filter
    from gateway.control.records import Actor

Column = InstrumentedAttribute[Any]


def of_tenant(column: Column) -> Filter:
    """By the tenant, its name or id."""
    return lambda session, actor, word: column == find_tenant(session, actor, word).id


def of_workspace(column: Column) -> Filter:
    """By the workspace, its name or id."""
    return lambda session, actor, word: column == find_workspace(session, actor, word).id


def of_domain(column: Column) -> Filter:
    """By the domain, its name or id."""
    return lambda session, actor, word: column == find_domain(session, actor, word).id


def among(column: Column, words: Sequence[str], what: str) -> Filter:
    """By one of some words; any other is Invalid."""

    def condition(session: Session, actor: Actor, word: str) -> sa.ColumnElement[bool]:  # noqa: ARG001
        if word not in words:
            raise Invalid(f"bad-{what}", f"{shown(word)} is no {what}.", f"Choose {', '.join(words)}.")
        return column == word

    return condition


def in_environment(column: Column) -> Filter:
    """By the environment."""
    return among(column, ENVIRONMENTS, "environment")
