from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer

HTS = Path(sys.executable).with_name("hts")


def completed(words: str, folder: Path, **variables: str) -> list[str]:
    """Ask as bash does for what may stand at the end of some words."""
    asked = {
        "_HTS_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    done = subprocess.run(  # noqa: S603 - our own command
        [HTS],
        env={**os.environ, **asked, **variables},
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout.split()


@pytest.fixture
def noted(folder: Path) -> Path:
    data = folder / "hts-data"
    data.mkdir()
    (data / "completion.json").write_text(
        '{"campaigns": ["drx", "drx-2", "nasicon"], "workers": ["mine"]}'
    )
    return folder


def test_campaigns_and_their_files(noted: Path) -> None:
    (noted / "dream.yaml").touch()
    assert completed("hts campaign pause d", noted) == ["dream.yaml", "drx", "drx-2"]
    assert completed("hts campaign cancel n", noted) == ["nasicon"]


def test_workers_by_their_folders_and_by_what_was_submitted(noted: Path) -> None:
    worker = noted / "launchpad_configs" / "slurm"
    worker.mkdir(parents=True)
    (worker / "my_fworker.yaml").touch()
    words = "hts campaign submit a.yaml --worker "
    assert completed(words, noted) == ["mine", "slurm"]


def test_another_data_folder_by_a_profile(noted: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"profiles: {{here: {{data_dir: {noted}/hts-data}}}}\n")
    variables = {"HTS_BATTERY_CONFIG_FILE": str(file), "HTS_BATTERY_DATA_DIR": ""}
    assert completed("hts --profile h", tmp_path, **variables) == ["here"]
    words = "hts --profile here campaign pause nas"
    assert completed(words, tmp_path, **variables) == ["nasicon"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"campaigns": 1}'])
def test_a_broken_file_of_names_completes_nothing(noted: Path, content: str) -> None:
    (noted / "hts-data" / "completion.json").write_text(content)
    assert completed("hts campaign pause d", noted) == []


def test_no_server_is_asked(folder: Path) -> None:
    # Nobody listens there; asking would take its time and fail.
    uri = "mongodb://127.0.0.1:9/"
    assert completed("hts jobs list --worker ", folder, HTS_BATTERY_MONGO_URI=uri) == []


@pytest.mark.mongo
def test_listing_campaigns_leaves_their_names(
    hts: Callable[..., Answer], screened: Answer, on_server: Path
) -> None:
    assert screened.status == 0, screened.err
    (on_server / "hts-data" / "completion.json").unlink(missing_ok=True)
    assert hts("campaign", "list").status == 0
    assert completed("hts campaign pause s", on_server) == ["small"]
