"""A plain `pip install .` carries everything: the wheel is built, unpacked and used far from the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, made by the build backend that pyproject.toml names."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, timeout=60)
    [built] = folder.glob("gatepost-*.whl")
    return built


def test_the_wheel_carries_what_the_program_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {
        f"gateway/data/{folder}/{path.relative_to(ROOT / folder)}"
        for folder in ("policies", "conf", "systemd")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    expected |= {
        str(path.relative_to(ROOT))
        for path in (ROOT / "gateway").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"gateway/data/policies/plans/trial.toml", "gateway/data/systemd/gatepost.socket"} <= expected
    assert expected - names == set()
    unneeded = [name for name in names if not name.startswith(("gateway/", "gatepost-"))]
    assert unneeded == []


def test_the_program_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(code: str, *arguments: str) -> str:
        # -P: what stands in the current folder is not imported; -W error: nothing deprecated is used.
        command = [sys.executable, "-P", "-W", "error", "-c", code, *arguments]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    program = "import sys; from gateway.app import main; sys.argv[0] = 'gatepost'; sys.exit(main())"
    assert run("import gateway; print(gateway.__file__)").startswith(str(site))
    run(program, "quickstart", "--dir", str(tmp_path / "var"), "--port-base", "19000", "--setup-only")
    state = json.loads((tmp_path / "var/quickstart.json").read_text())
    assert state["account"]["app_password"].startswith("gp_")
    policies = json.loads(run(program, "--config", state["config"], "policy", "list", "--json"))
    names = {path.stem for path in (ROOT / "policies").glob("*.toml")}
    assert names == {policy["name"] for policy in policies}
    run(program, "check", "--config", state["config"])
