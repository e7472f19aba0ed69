"""The HTML of pages: complete without a script, and without anything from elsewhere. All text is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources

from gateway.faces.pages.content import Card, Page, Sign


@dataclass(frozen=True, slots=True)
class Assets:
    """The style and the script of every page."""

    style: str
    script: str

    def policy(self) -> str:
        """The Content-Security-Policy: this very style and script, questions to this server, no more."""
        parts = (
            "default-src 'none'",
            f"style-src 'sha256-{_digest(self.style)}'",
            f"script-src 'sha256-{_digest(self.script)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
        return "; ".join(parts)


@cache
def assets() -> Assets:
    """The packaged files."""
    folder = resources.files(__package__)
    return Assets(
        (folder / "page.css").read_text("utf-8").strip(), (folder / "page.js").read_text("utf-8").strip()
    )


def domain_page(page: Page) -> str:
    """A domain's page."""
    title = f"DNS records for {page.unicode_name}"
    return _document(title, "".join(_body(page)))


def gone_page() -> str:
    """What every wrong or expired link shows."""
    words = "Ask whoever sent you the link for a new one."
    return _document("This page is not here", f"<h1>This page is not here</h1>\n<p>{words}</p>\n")


def _document(title: str, body: str) -> str:
    parts = assets()
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{parts.style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n<script>{parts.script}</script>\n</body>\n</html>\n"
    )


def _body(page: Page) -> Iterator[str]:
    yield f"<h1>DNS records for <strong>{escape(page.unicode_name)}</strong></h1>\n"
    if page.unicode_name != page.name:
        yield f"<p>In DNS the name is <code>{escape(page.name)}</code>.</p>\n"
    about = f'<span id="about">{escape(_about(page))}</span>'
    yield f'<p id="state" role="status">{_badge(page.sign)} {about}</p>\n'
    yield (
        "<p>Add these records where the domain’s DNS is kept. Existing records stay as they are. "
        "Many DNS panels add the domain themselves: give them the short name, others the full one.</p>\n"
    )
    yield f'<ul id="remarks">{"".join(f"<li>{escape(one)}</li>" for one in page.remarks)}</ul>\n'
    for heading, required in (("Required", True), ("Recommended", False)):
        cards = [card for card in page.cards if card.required is required]
        if cards:
            yield f"<h2>{heading}</h2>\n"
            yield from map(_card, cards)


def _about(page: Page) -> str:
    words = [page.reason or ""]
    words.append(f"Looked up at {page.looked}." if page.looked else "")
    words.append(f"Next look at {page.next_look}." if page.next_look else "")
    return " ".join(filter(None, words))


def _card(card: Card) -> str:
    fields = [_field(card, "Type", card.type)]
    fields.append(_field(card, "Name (short)", card.short_name))
    if card.short_name != card.name:
        fields.append(_field(card, "Name (full)", card.name))
    if card.preference is not None:
        fields.append(_field(card, "Priority", card.preference))
    fields.append(_field(card, "Value", card.value))
    note = f'<p class="note">{escape(card.note)}</p>\n' if card.note else ""
    found = "".join(f"<li><code>{escape(one)}</code></li>" for one in card.found)
    return (
        f'<article id="{card.key}" aria-labelledby="{card.key}-title">\n'
        f'<h3 id="{card.key}-title">{escape(card.title)}</h3>\n{_badge(card.sign)}\n'
        f"<dl>\n{''.join(fields)}</dl>\n{note}"
        f'<p class="hint" role="status">{escape(card.hint or "")}</p>\n'
        f'<p class="found-title"{"" if found else " hidden"}>DNS answers now:</p>\n'
        f'<ul class="found">{found}</ul>\n</article>\n'
    )


def _field(card: Card, label: str, value: str) -> str:
    known = f"{card.title}: {label}"
    return (
        f"<div><dt>{escape(label)}</dt><dd><code>{escape(value)}</code>"
        f'<button type="button" aria-label="Copy {escape(known)}">Copy</button></dd></div>\n'
    )


def _badge(sign: Sign) -> str:
    return f'<span class="badge {sign.tone}">{escape(sign.words)}</span>'


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
