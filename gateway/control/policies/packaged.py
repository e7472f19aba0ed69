"""The documents that come with the program: in a wheel below gateway/data, in a checkout at its top."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from gateway.control.policies.documents import Document
from gateway.control.policies.folder import read_tree


def packaged_documents() -> tuple[Document, ...]:
    """Every packaged policy and plan.

    Raises FileNotFoundError if the program was installed without them, DocumentErrors if they are wrong.
    """
    return read_tree(packaged_folder()).documents


def packaged_policies() -> tuple[str, ...]:
    """The names of the packaged policies: they are in every installation, and no secret of its operator.

    Raises FileNotFoundError if the program was installed without them.
    """
    files = (PurePath(one.name) for one in packaged_folder().iterdir() if one.is_file())
    return tuple(sorted(one.stem for one in files if one.suffix == ".toml"))


def packaged_folder() -> Traversable:
    """Where the packaged documents lie."""
    installed = resources.files("gateway") / "data" / "policies"
    if installed.is_dir():
        return installed
    checkout = Path(__file__).parents[3] / "policies"
    if checkout.is_dir():
        return checkout
    raise FileNotFoundError(
        "The packaged policies are missing (gateway/data/policies): install gatepost again."
    )
