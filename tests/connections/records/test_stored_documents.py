from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.records.stored_documents import (
    read_registration,
    read_stored,
    readable,
)
from hts_battery.errors import UnreadableDocumentError
from hts_battery.schemas.dispatch import Submission

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

DOC = {"campaign": "small", "worker": "here", "chunk": 2, "window": 3}
DOC |= {"time": "2026-03-01T12:00:00Z", "host": "n1", "mode": "chunks"}


def test_what_a_store_adds_to_a_document_is_no_part_of_it() -> None:
    stored = {**DOC, "_id": 1, "_bt": "x", "last_updated": None}
    assert read_stored(Submission, stored, "a submission").chunk == 2


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (None, "NoneType instead of a document"),
        (["small"], "list instead of a document"),
        ({"campaign": "small"}, "worker: Field required"),
        ({**DOC, "chunk": "many"}, "chunk: Input should be a valid integer"),
        ({**DOC, "later": 1}, "later: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_read_names_document_and_field(doc: object, words: str) -> None:
    with pytest.raises(UnreadableDocumentError) as caught:
        read_stored(Submission, doc, "the submission of small")
    assert "the submission of small cannot be read: " in str(caught.value)
    assert words in str(caught.value)
    assert "changed by hand, or by a newer hts_battery" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("digest"), "it has no digest"),
        (TypeError("no number"), "no number"),
        (ValueError("month must be in 1..12"), "month must be in 1..12"),
    ],
)
def test_a_block_that_reads_fields_says_what_it_could_not_read(
    error: Exception, words: str
) -> None:
    with (
        pytest.raises(UnreadableDocumentError, match=words),
        readable("a document of small"),
    ):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(OSError, match="disk"), readable("a document"):
        raise OSError("disk")


@pytest.mark.mongo
def test_a_registration_is_read_by_its_name(stores: Stores) -> None:
    stores.campaigns.update({"name": "small", "owner": "me", "members": 3}, key="name")
    found = read_registration(stores, "small")
    assert found is not None
    assert (found["owner"], found["members"]) == ("me", 3)
    assert read_registration(stores, "large") is None
