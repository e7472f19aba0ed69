"""The units are understood by systemd, and the service is as closed as the documents say."""

import re
import subprocess
import tomllib
from pathlib import Path

from tests.support.peers import RequirePeer

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "systemd"


def test_exposure_is_what_the_documents_say(require_peer: RequirePeer) -> None:
    analyze = require_peer("systemd-analyze")
    result = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", UNITS / "gatepost.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for gatepost.service: (\d+\.\d)", result.stdout)
    assert found, result.stdout + result.stderr
    assert float(found[1]) <= 1.5
    stated = re.search(r"exposure level (\d+\.\d)", (ROOT / "docs/operations.md").read_text())
    assert stated is not None
    # A newer systemd knows more settings and may judge a little differently.
    assert abs(float(stated[1]) - float(found[1])) <= 0.3


def test_units_are_understood(require_peer: RequirePeer, tmp_path: Path) -> None:
    analyze = require_peer("systemd-analyze")
    units = []
    for name in ("gatepost.service", "gatepost.socket"):
        unit = tmp_path / name
        # The program is not installed at its place here; all else must be right.
        unit.write_text(re.sub(r"/opt/gatepost/\S+/gatepost", "/bin/true", (UNITS / name).read_text()))
        units.append(unit)
    result = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    complaints = [line for line in result.stderr.splitlines() if "gatepost" in line]
    assert complaints == []


def test_what_the_service_needs_is_granted() -> None:
    """Settings that would break the gateway, or that it relies on."""
    service = (UNITS / "gatepost.service").read_text()
    for line in (
        "Type=notify",
        "KillMode=mixed",
        "RestartPreventExitStatus=2",
        "StateDirectory=gatepost",
        "RuntimeDirectory=gatepost",
        "RuntimeDirectoryMode=0750",
        "LoadCredential=master-key:/etc/gatepost/master.key",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    ):
        assert line in service.splitlines()


def test_the_example_puts_the_api_into_the_folder_that_the_unit_makes() -> None:
    example = tomllib.loads((ROOT / "conf/gatepost.toml").read_text())
    assert example["api"]["socket"] == "/run/gatepost/api.sock"


def test_the_audit_can_tell_who_called_on_the_unix_socket() -> None:
    """In a user namespace the kernel names every other user 65534."""
    assert "PrivateUsers=no" in (UNITS / "gatepost.service").read_text().splitlines()


def test_who_installs_as_the_documents_say_has_the_program_where_the_service_looks() -> None:
    program = re.search(r"^ExecStart=(\S+)", (UNITS / "gatepost.service").read_text(), re.MULTILINE)
    assert program is not None
    folder = program[1].removesuffix("/bin/gatepost")
    for document in ("README.md", "docs/operations.md"):
        text = (ROOT / document).read_text()
        assert f"python3 -m venv {folder}\n" in text or f"python3 -m venv {folder} &&" in text
        assert set(re.findall(r"/opt/gatepost/\S*bin/gatepost", text)) <= {program[1]}
