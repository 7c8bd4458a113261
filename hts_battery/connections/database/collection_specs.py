"""The collections: each is named, keyed and indexed here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from hts_battery.settings import BlobStore

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOBS = "blobs"
"""Collection of large outputs, or of their index when a bucket holds them."""


class IndexOptions(TypedDict, total=False):
    """What the server is told of an index beside its fields."""

    partialFilterExpression: dict[str, str]


class Index(NamedTuple):
    """An index of a collection: its fields in order, and whether they identify."""

    fields: tuple[str, ...]
    unique: bool = False
    only: tuple[str, str] | None = None
    """Field and value of the documents that it is of; all without it."""

    @property
    def part(self) -> IndexOptions:
        """How the server is told of which documents it is; empty for all."""
        if self.only is None:
            return {}
        return {"partialFilterExpression": dict([self.only])}


SLICED_BY = {
    BLOBS: "blob_uuid",
    "candidates": "candidate_id",
    "entries": "entry_id",
    "failures": "content_key",
    "properties": "property_id",
    "summary": "candidate_id",
    "tasks": "uuid",
    "thermo": "candidate_id",
}
"""Collection that grows → field that begins an index, a text that begins at random."""


COLLECTIONS: dict[str, tuple[str, tuple[Index, ...]]] = {
    "campaigns": ("name", (Index(("name",), unique=True),)),
    "members": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id"), unique=True),
            Index(("content_key",)),
            Index(("released", "campaign")),
        ),
    ),
    "candidates": (
        "candidate_id",
        (Index(("candidate_id",), unique=True),),
    ),
    "tasks": (
        "uuid",
        (
            # jobflow resolves every reference by uuid and newest index.
            Index(("uuid", "index"), unique=True),
            Index(("metadata.candidate_id",)),
            Index(("metadata.content_key", "metadata.step")),
            Index(("metadata.phase_id",)),
            Index(("metadata.step",)),
            Index(("completed_at",)),
        ),
    ),
    BLOBS: (
        "blob_uuid",
        (
            Index(("blob_uuid",), unique=True),
            Index(("job_uuid", "job_index")),
        ),
    ),
    "failures": (
        "content_key",
        (Index(("content_key",), unique=True), Index(("candidate_id",))),
    ),
    "references": (
        "phase_id",
        (Index(("phase_id", "engine"), unique=True), Index(("engine", "rejected"))),
    ),
    "entries": (
        "entry_id",
        (
            Index(("entry_id",), unique=True),
            Index(("candidate_id", "engine")),
            Index(("content_key",)),
            Index(("kind", "engine", "state")),
            Index(("input_digest",)),
        ),
    ),
    "thermo": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id", "temperature"), unique=True),
            Index(("candidate_id", "temperature")),
            Index(("campaign", "state")),
            Index(("input_digest",)),
        ),
    ),
    "summary": (
        "candidate_id",
        (
            Index(("campaign", "candidate_id"), unique=True),
            Index(("candidate_id",)),
            Index(("canonical_formula",)),
            Index(("chemical_system",)),
            Index(("element_keys",)),
            Index(("energy_above_hull",)),
            Index(("mixing_temperature",)),
            Index(("n_metals",)),
            Index(("family",)),
            Index(("flags",)),
            Index(("input_digest",)),
        ),
    ),
    "properties": (
        "property_id",
        (
            Index(("property_id",), unique=True),
            Index(("campaign", "builder", "subject_id")),
            Index(("campaign", "subject_id")),
            Index(("subject_id",)),
        ),
    ),
    # The head, and Parquet files of up to 50,000 rows; see schemas/summary_table.py.
    "summary_table": (
        "part_id",
        (Index(("part_id",), unique=True), Index(("campaign", "version"))),
    ),
    "hulls": ("hull_version", (Index(("hull_version",), unique=True),)),
    "changes": (
        "change_id",
        (Index(("change_id",), unique=True), Index(("run_id",))),
    ),
    "builds": (
        "run_id",
        (Index(("run_id",), unique=True), Index(("state",))),
    ),
    "locks": ("name", (Index(("name",), unique=True),)),
    "submissions": ("campaign", (Index(("campaign",), unique=True),)),
    "backlog": ("block", (Index(("campaign", "block"), unique=True),)),
    # What was sent, each once, and who has it in hand; `sent` is until it ended.
    "dispatches": (
        "dispatch_id",
        (
            Index(("dispatch_id",), unique=True),
            Index(("content_keys",), unique=True, only=("state", "sent")),
        ),
    ),
    # What the builders said, in few documents; which messages were sent.
    "built_states": ("block", (Index(("campaign", "block"), unique=True),)),
    "alerts": ("campaign", (Index(("campaign",), unique=True),)),
    # How each worker may be used, and what its launcher last said.
    "workers": ("worker", (Index(("worker",), unique=True),)),
    # Workflows that ended, out of FireWorks' own collections.
    "archived_workflows": (
        "fw_id",
        (Index(("fw_id",), unique=True), Index(("campaign",))),
    ),
}
"""Name of each collection → key field and indexes."""

_BLOB_INDEXES: dict[BlobStore, tuple[str, tuple[Index, ...]]] = {
    BlobStore.MONGO: (BLOBS, COLLECTIONS[BLOBS][1]),
    BlobStore.GRIDFS: (
        f"{BLOBS}.files",
        (
            Index(("metadata.blob_uuid",)),
            Index(("metadata.job_uuid", "metadata.job_index")),
        ),
    ),
    BlobStore.S3: (BLOBS, COLLECTIONS[BLOBS][1]),
}
"""Where the index of the blobs stands, and on which fields."""


def expected_indexes(blob_store: BlobStore) -> Mapping[str, tuple[Index, ...]]:
    """Return the indexes of every collection, those of the blobs by their kind."""
    name, indexes = _BLOB_INDEXES[blob_store]
    kept = {key: value[1] for key, value in COLLECTIONS.items() if key != BLOBS}
    return {**kept, name: indexes}
