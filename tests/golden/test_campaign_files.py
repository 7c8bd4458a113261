"""The campaign files that ship: each is read, and begins with the same members."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from golden.recording import plain

import hts_battery
from hts_battery.compositions import load_space, selected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from golden.recording import Recording
    from golden.world import Answer

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
FILES = sorted((*WORKFLOWS.glob("campaigns/*.yaml"), *WORKFLOWS.glob("spaces/*.yaml")))
_FIRST = 20
_PROSE = {"description", "space"}


def described(path: Path) -> dict[str, Any]:
    """Say what a file declares, and which members it holds and selects first."""
    content = yaml.safe_load(path.read_text("utf-8"))
    if "source" in content:
        spec = hts_battery.CampaignSpec.model_validate(content)
        return {"campaign": plain(spec.model_dump(mode="json", exclude=_PROSE))}
    space = load_space(path)
    found = {
        "count": space.count,
        "species count": space.species_count,
        "basis": str(space.basis),
        "first": space[0].formula,
        "last": space[space.count - 1].formula,
        "digest of the first": _digest(space),
    }
    if "engine" in content:
        spec = hts_battery.CampaignSpec.model_validate(content)
        few = {"count": _FIRST} if spec.selection.method == "sample" else {}
        members = selected(space, spec.selection.model_copy(update=few))
        found |= {
            "digest of the selected": _digest(one for _, one in members),
            "campaign": plain(spec.model_dump(mode="json", exclude=_PROSE)),
        }
    return found


def _digest(members: Iterable[hts_battery.Candidate]) -> str:
    ids = [one.candidate_id for one in islice(members, _FIRST)]
    return sha256(" ".join(ids).encode()).hexdigest()[:20]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_is_read_as_before(
    recording: Callable[[str], Recording], path: Path
) -> None:
    recording("campaign_files").check(path.stem, described(path))


def test_no_file_is_gone(recording: Callable[[str], Recording]) -> None:
    recording("campaign_files").keep_only(
        {"check of quickstart", *(path.stem for path in FILES)}
    )


def test_the_members_of_the_quickstart(
    recording: Callable[[str], Recording], typed: Callable[..., Answer]
) -> None:
    path = WORKFLOWS / "campaigns" / "quickstart.yaml"
    (line,) = typed("campaign", "check", str(path), "--json").lines
    recording("campaign_files").check("check of quickstart", line)
