from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign.unsubmitted import unsubmitted
from hts_battery.dispatch.submission import MemberSubset

if TYPE_CHECKING:
    from dispatched import Dispatch

pytestmark = pytest.mark.mongo


def test_what_no_submission_named_is_counted_with_its_command(
    dispatch: Dispatch,
) -> None:
    dispatch.submit(chunk=2, subset=MemberSubset(0, 4))
    assert dispatch.finish().is_done
    found = unsubmitted(dispatch.stores, "small")
    assert found is not None
    assert found.members == 2
    assert found.command == (
        f"hts campaign submit {dispatch.campaign.path} --worker here"
    )
    dispatch.submit(chunk=2)
    assert unsubmitted(dispatch.stores, "small") is None
    assert unsubmitted(dispatch.stores, "none") is None
