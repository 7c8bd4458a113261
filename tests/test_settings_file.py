from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.settings import get_settings, use_profile
from hts_battery.settings_file import chosen_profile, profile_variables, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = """\
database: drx
temperatures: [0, 1200]
profiles:
  cluster: {database: cluster, mongo_uri: "mongodb://me:secret@db.example.org"}
  laptop: laptop.yaml
  lost: nowhere.yaml
  nested: {profiles: {}}
  empty:
"""


@pytest.fixture(autouse=True)
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE)
    (tmp_path / "laptop.yaml").write_text("database: laptop\n")
    monkeypatch.setenv("HTS_BATTERY_CONFIG_FILE", str(path))
    for name in ("DATABASE", "MONGO_URI", "PROFILE"):
        monkeypatch.delenv(f"HTS_BATTERY_{name}", raising=False)
    use_profile(None)
    yield path
    use_profile(None)


@pytest.mark.parametrize(
    ("profile", "database"),
    [(None, "drx"), ("cluster", "cluster"), ("laptop", "laptop"), ("empty", "drx")],
)
def test_a_profile_stands_over_the_rest_of_the_file(
    profile: str | None, database: str
) -> None:
    use_profile(profile)
    assert get_settings().database == database
    assert get_settings().temperatures == (0.0, 1200.0)


def test_the_variable_names_a_profile_and_the_command_line_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTS_BATTERY_PROFILE", "laptop")
    assert get_settings().database == "laptop"
    use_profile("cluster")
    assert get_settings().database == "cluster"
    assert profile_variables() == {"HTS_BATTERY_PROFILE": "cluster"}


def test_a_child_that_is_given_the_variables_uses_the_same_profile() -> None:
    use_profile("laptop")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from hts_battery.settings import get_settings as g; print(g().database)",
        ],
        env=os.environ | profile_variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "laptop\n"


def test_variables_win_over_a_profile_unless_the_command_line_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTS_BATTERY_DATABASE", "mine")
    monkeypatch.setenv("HTS_BATTERY_PROFILE", "cluster")
    assert get_settings().database == "mine"
    use_profile("cluster")
    with pytest.raises(ConfigurationError, match="HTS_BATTERY_DATABASE is set to"):
        get_settings()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("none", r"there is no profile none in .*cluster, empty, laptop"),
        ("lost", r"profile lost: there is no file .*nowhere\.yaml"),
        ("nested", "write settings, one 'name: value' a line"),
    ],
)
def test_what_is_refused(profile: str, message: str) -> None:
    use_profile(profile)
    assert chosen_profile() == profile
    with pytest.raises(ConfigurationError, match=message) as caught:
        get_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", ["profiles: [a]\n", "profiles: text\n"])
def test_profiles_are_a_mapping(settings_file: Path, content: str) -> None:
    settings_file.write_text(content)
    with pytest.raises(ConfigurationError, match="profiles: name: settings"):
        read_settings()
