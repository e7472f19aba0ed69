"""`GATEPOST_<SECTION>__<KEY>`: environment variables that replace keys of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.system.config.keys import LOCATION, SECTIONS, TOP
from gateway.system.toml_lines import Path, Problem, did_you_mean

PREFIX = "GATEPOST_"
ENVIRONMENT = "environment"
_RESERVED = frozenset({"CONFIG", "URL", "KEY", "REQUIRE_PEERS"})
_RESERVED_PREFIXES = ("TEST_", "BENCH_")


@dataclass(frozen=True, slots=True)
class Override:
    """A variable and what it says, not yet read."""

    variable: str
    value: str


def find_overrides(
    environ: Mapping[str, str], locations: Iterable[str]
) -> tuple[dict[Path, Override], list[Problem]]:
    """The overrides by the path of their key, and the variables that name no key.

    `locations` are those of the file; a variable that names another makes it.
    """
    known = _known(tuple(locations))
    found: dict[Path, Override] = {}
    problems: list[Problem] = []
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            continue
        path = known.get(name) or _new_location(name)
        if path is None:
            hint = did_you_mean(name, known).replace('"', f'"{PREFIX}', 1)
            message = f"no key of the configuration is called that{hint}"
            problems.append(Problem(ENVIRONMENT, 0, variable, message))
        else:
            found[path] = Override(variable, environ[variable])
    return found, problems


def _known(locations: tuple[str, ...]) -> dict[str, Path]:
    known: dict[str, Path] = {key.name.upper(): (key.name,) for key in TOP}
    for section, keys in SECTIONS.items():
        known |= {f"{section}__{key.name}".upper(): (section, key.name) for key in keys}
    for location in locations:
        prefix = f"LOCATIONS__{location}__".upper().replace("-", "_")
        known |= {prefix + key.name.upper(): ("locations", location, key.name) for key in LOCATION}
    return known


def _new_location(name: str) -> Path | None:
    section, _, rest = name.partition("__")
    location, _, key = rest.partition("__")
    if section != "LOCATIONS" or not location or key.lower() not in {one.name for one in LOCATION}:
        return None
    return ("locations", location.lower().replace("_", "-"), key.lower())
