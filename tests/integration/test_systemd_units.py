"""The units as systemd reads them. Debian's package systemd must be there; it need not run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from komodod.cli.exits import Exit

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")

UNITS = Path(__file__).parents[2] / "systemd"
DROP_INS = sorted((UNITS / "komodod.service.d.examples").glob("*.conf"))
EXPOSURE = 1.5
"""The most that the unit may be exposed, as `systemd-analyze security` counts it; 10 is worst."""


def call(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def install(folder: Path, *drop_ins: Path) -> Path:
    """Put the unit into a folder as an administrator would, with a komodod that is there."""
    unit = folder / "komodod.service"
    unit.write_text((UNITS / unit.name).read_text().replace("/opt/komodod/bin/komodod", sys.executable))
    (folder / "komodod.service.d").mkdir()
    for drop_in in drop_ins:
        (folder / "komodod.service.d" / drop_in.name).write_text(drop_in.read_text())
    return unit


def exposure(unit: Path) -> float:
    told = call("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for komodod.service: ([\d.]+)", told)
    assert found is not None
    return float(found[1])


def settings() -> dict[str, str]:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read(UNITS / "komodod.service")
    return dict(parser["Service"])


@pytest.mark.parametrize("drop_ins", [[], *([drop_in] for drop_in in DROP_INS), DROP_INS])
def test_systemd_finds_nothing_wrong(tmp_path: Path, drop_ins: list[Path]) -> None:
    assert call("systemd-analyze", "verify", "--man=no", install(tmp_path, *drop_ins)) == ""


def test_the_unit_is_exposed_as_little_as_promised(tmp_path: Path) -> None:
    assert exposure(install(tmp_path)) <= EXPOSURE
    call("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", tmp_path / "komodod.service")


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda drop_in: drop_in.stem)
def test_a_drop_in_says_what_it_costs(tmp_path: Path, drop_in: Path) -> None:
    claimed = re.search(r"# Costs \(exposure ([\d.]+)", drop_in.read_text())
    assert claimed is not None
    assert exposure(install(tmp_path, drop_in)) == float(claimed[1])


def test_the_drop_ins_are_there() -> None:
    names = [drop_in.stem for drop_in in DROP_INS]
    assert names == ["check-commands", "root-owned-targets", "ssh-keys", "writable-targets"]


def test_a_configuration_that_is_not_valid_is_not_tried_again() -> None:
    assert settings()["RestartPreventExitStatus"] == str(int(Exit.BAD_CONFIG))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An otherwise empty machine on which the users have been made."""
    (tmp_path / "etc").mkdir()
    call("systemd-sysusers", f"--root={tmp_path}", UNITS / "komodod.sysusers")
    return tmp_path


def test_the_user_has_a_home_which_git_and_ssh_need(root: Path) -> None:
    (entry,) = (root / "etc/passwd").read_text().splitlines()
    assert (entry.split(":")[0], entry.split(":")[5]) == ("komodod", "/var/lib/komodod")
    assert settings()["StateDirectory"] == "komodod"
    assert (root / "etc/group").read_text().startswith("komodod:")


def test_the_configuration_is_the_daemons_to_read_and_its_secrets_are_not(root: Path) -> None:
    rules = (UNITS / "komodod.tmpfiles").read_text()
    assert re.search(r"^d /etc/komodod +0750 root komodod -$", rules, re.MULTILINE)
    assert re.search(r"^d /etc/komodod/secrets +0700 root root +-$", rules, re.MULTILINE)
    if os.geteuid() != 0:  # who cannot give away a directory makes its own
        rules = re.sub(r"root (komodod|root)", "- -", rules)
    (root / "komodod.tmpfiles").write_text(rules)
    call("systemd-tmpfiles", f"--root={root}", "--create", root / "komodod.tmpfiles")
    assert (root / "etc/komodod").stat().st_mode & 0o7777 == 0o750
    assert (root / "etc/komodod/secrets").stat().st_mode & 0o7777 == 0o700
