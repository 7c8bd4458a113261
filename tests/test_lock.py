"""What make install takes: the pinned releases, by their digests, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
DIGEST = re.compile(r"--hash=sha256:[0-9a-f]{64}")
NOT_LOCKED = {"gpaw", "gpaw-data"}  # built here, from source


def pins(name: str) -> dict[str, str]:
    """Return package → version and digests of a file of pip."""
    text = (PROJECT / name).read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            package, _, rest = line.partition("==")
            found[re.sub(r"[-_.]+", "-", package).lower()] = rest
    return found


def test_every_pinned_release_is_locked_and_no_other() -> None:
    pinned = pins("constraints.txt")
    locked = pins("requirements.lock")
    assert locked.keys() == pinned.keys() - NOT_LOCKED
    for package, rest in locked.items():
        version, *digests = rest.split()
        assert version == pinned[package], package
        assert digests, package
        assert all(DIGEST.fullmatch(one) for one in digests), package


def test_what_builds_packages_is_locked_too() -> None:
    locked = pins(".ci/build.lock")
    assert locked.keys() == {"setuptools", "wheel"}
    for rest in locked.values():
        assert DIGEST.search(rest)


def test_the_build_for_cpus_is_of_the_pinned_release() -> None:
    (rest,) = pins(".ci/torch_cpu.lock").values()
    version, digest = rest.split()
    assert version.partition("+")[0] == pins("constraints.txt")["torch"]
    assert DIGEST.fullmatch(digest)


def test_make_install_asks_for_digests() -> None:
    text = (PROJECT / "Makefile").read_text("utf-8")
    rule = text.partition("$(STAMP): ")[2].partition("touch")[0]
    installed = re.findall(r"^\t@?\$\(PIP\) (.*)$", rule, re.MULTILINE)
    *locked, project = installed
    files = [re.search(r"--requirement (\S+)", line) for line in locked]
    assert [file and file[1] for file in files] == [
        ".ci/build.lock",
        ".ci/torch_cpu.lock",
        "requirements.lock",
    ]
    for line in locked:
        assert "--require-hashes" in line
    assert "--no-build-isolation" in project
    assert "--editable" in project
