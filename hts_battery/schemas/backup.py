"""What a backup of a database says of itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from hts_battery.schemas.base import Document

FORMAT = 1
"""Of the files of a backup; another format is refused."""


class CollectionBackup(Document):
    """One collection of a backup."""

    name: str = Field(description="Name of the collection.")
    documents: int = Field(ge=0, description="Number of documents.")
    bytes: int = Field(ge=0, description="Size of the documents as BSON.")
    digest: str = Field(
        description="Digest of the documents, whatever their order: the sum, modulo "
        "2**256, of the BLAKE2b digests of their bytes, hexadecimal."
    )
    file_digest: str = Field(description="SHA-256 of the file.")
    indexes: tuple[dict[str, object], ...] = Field(
        description="Its indexes as the server lists them, without that of _id."
    )


class BackupManifest(Document):
    """A whole backup: written last, so a folder without it is none."""

    format: int = Field(description="Format of the files.")
    database: str = Field(description="Name of the database.")
    layout: int = Field(description="Layout of the database.")
    created: datetime = Field(description="When it was finished, UTC.")
    host: str = Field(description="Host that wrote it.")
    versions: dict[str, str] = Field(description="hts_battery, pymongo and server.")
    locked: tuple[str, ...] = Field(
        description="Locks that were held: nobody built or sent work meanwhile."
    )
    blob_store: str = Field(
        description="Where large outputs are; those of s3 are not in the backup, only "
        "their index is."
    )
    collections: tuple[CollectionBackup, ...] = Field(description="By name.")

    @property
    def documents(self) -> int:
        """Number of documents of all collections."""
        return sum(one.documents for one in self.collections)
