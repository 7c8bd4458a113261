from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hts_battery.errors import ConfigurationError, SpecError
from hts_battery.settings import (
    BlobStore,
    HTSBatterySettings,
    config_file,
    get_settings,
    refuse_unknown_variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    for name in list(os.environ):
        if name.upper().startswith("HTS_BATTERY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_defaults(tmp_path: Path) -> None:
    settings = get_settings()
    assert settings.mongo_uri is None
    assert settings.database == "hts_battery"
    assert settings.temperatures == (0.0, 1473.0)
    assert settings.data_dir == tmp_path / "hts-data"
    assert settings.execution_folder == tmp_path / "hts-data" / "executions"
    assert settings.blob_store is BlobStore.MONGO


def test_a_folder_of_prototypes_is_known_wherever_settings_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTS_BATTERY_PROTOTYPE_FOLDER", "mine")
    with pytest.raises(SpecError, match="there is no such folder of prototypes"):
        get_settings()
    (tmp_path / "mine").mkdir()
    assert get_settings().prototype_folder == tmp_path / "mine"


def test_read_once() -> None:
    assert get_settings() is get_settings()


def test_folders_do_not_move_with_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = get_settings()
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    assert settings.data_dir == tmp_path / "hts-data"


@pytest.mark.parametrize("text", ["0,900", "[0, 900]", "0, 900,"])
def test_temperatures_from_a_variable(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTS_BATTERY_TEMPERATURES", text)
    assert get_settings().temperatures == (0.0, 900.0)


@pytest.mark.parametrize("text", ["[]", "-1", "nan", "inf", "0,0", "hot"])
def test_impossible_temperatures_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTS_BATTERY_TEMPERATURES", text)
    with pytest.raises(ConfigurationError, match="temperatures"):
        get_settings()


def test_variables_win_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".hts_battery.yaml").write_text(
        "database: from_file\ndata_dir: ~/data\n"
    )
    monkeypatch.setenv("HTS_BATTERY_DATABASE", "from_variable")
    settings = get_settings()
    assert settings.database == "from_variable"
    assert settings.data_dir == tmp_path / "home" / "data"


def test_named_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("temperatures: [300]\n")
    monkeypatch.setenv("HTS_BATTERY_CONFIG_FILE", str(path))
    assert config_file() == path
    assert get_settings().temperatures == (300.0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        ("databse: x\n", "databse"),
        ("database: [\n", r"other\.yaml:2"),
        ("just a sentence\n", "cannot be read as settings"),
    ],
)
def test_wrong_file_is_refused(
    content: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "other.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("HTS_BATTERY_CONFIG_FILE", str(path))
    with pytest.raises(ConfigurationError, match=message):
        get_settings()


def test_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", "")
    assert get_settings().mongo_uri is None


def test_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTS_BATTERY_TEMPERATURE", "0")
    with pytest.raises(ConfigurationError, match="mean HTS_BATTERY_TEMPERATURES"):
        get_settings()


def test_lower_case_misspelling_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="hts_battery_mongo_url is not"):
        refuse_unknown_variables(["hts_battery_mongo_url"])


def test_variables_of_the_tests_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTS_BATTERY_TEST_MONGO_URI", "mongodb://x")
    assert get_settings().mongo_uri is None


def test_unknown_argument_is_refused() -> None:
    with pytest.raises(ValidationError):
        HTSBatterySettings(databse="x")  # type: ignore[call-arg]


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        get_settings().database = "other"  # type: ignore[misc]


def test_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", "mongodb://me:hunter2@host/")
    assert "hunter2" not in repr(get_settings())
    uri = get_settings().mongo_uri
    assert uri is not None
    assert "hunter2" in uri.get_secret_value()
    get_settings.cache_clear()
    monkeypatch.setenv("HTS_BATTERY_DATABASE", "hunter2 with blanks")
    with pytest.raises(ConfigurationError) as caught:
        get_settings()
    assert "hunter2" not in str(caught.value)


def test_bucket_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTS_BATTERY_BLOB_STORE", "s3")
    with pytest.raises(ConfigurationError, match="s3_bucket"):
        get_settings()
    monkeypatch.setenv("HTS_BATTERY_S3_BUCKET", "b")
    assert get_settings().blob_store is BlobStore.S3


def test_import_reads_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "HTS_BATTERY_NONSENSE": "1", "HOME": str(tmp_path)}
    code = "import hts_battery.settings"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603 - our own interpreter
    assert list(tmp_path.iterdir()) == []
