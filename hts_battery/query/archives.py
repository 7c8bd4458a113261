"""Archives of structures, with the table of their summaries and a manifest inside."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from hts_battery.query.query_fields import PREFIX
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pymatgen.core import Structure

    from hts_battery.schemas.rows import SummaryRow

_API_VERSION = "1.2.0"
_TYPE = "structures"
TABLE = "summaries.csv"
MANIFEST = "manifest.json"


class ExportManifest(Document):
    """What stands in a file of summaries, where it came from, and its digest."""

    digest: str = Field(
        description="SHA-256 over the rows as text, the same for every format."
    )
    n_rows: int = Field(ge=0, description="Number of rows; no unit.")
    n_structures: int = Field(
        0, ge=0, description="Number of structures beside the rows; no unit."
    )
    columns: tuple[str, ...] = Field(description="Names of the columns, in order.")
    units: dict[str, str] = Field(
        default_factory=dict, description="Column → its unit; 1 for none."
    )
    file_format: str = Field(description="csv, json, parquet, optimade, cif or poscar.")
    created_at: datetime = Field(description="UTC.")
    filter: str | None = Field(
        description="Filter that chose the rows, as it was written; null for all."
    )
    sort: tuple[str, ...] = Field((), description="Order, as it was asked for.")
    limit: int = Field(0, ge=0, description="Most rows asked for; 0 is no limit.")
    campaigns: dict[str, dict[str, object]] = Field(
        description="Campaign → all that its file said when it was last built: space, "
        "selection with the digest of a list, filters, structure, engine, relaxation, "
        "gate, temperatures (K), entropy and stability options; and the build: run, "
        "code, package versions, digest of each hull."
    )
    calculators: dict[str, int] = Field(
        description="Calculator with versions → rows; no unit."
    )
    hull_versions: dict[str, int] = Field(
        description="Digest of the references → rows assessed on it; no unit."
    )
    run_id: str | None = Field(
        description="Last run of the builders; null where none has a manifest."
    )
    code_version: str | None = Field(description="Version of the builders' code then.")
    package_versions: dict[str, str] = Field(
        description="Package → version: those of the build, and of the export."
    )

    @property
    def citation(self) -> str:
        """One line that names this snapshot."""
        date = self.created_at.date().isoformat()
        return f"hts_battery snapshot sha256:{self.digest} ({self.n_rows} rows, {date})"


def optimade_lines(
    rows: Iterable[tuple[Mapping[str, object], Structure]],
) -> Iterator[str]:
    """
    Yield the header, what our fields are, and one line per structure.

    ``rows``: flat rows (:func:`~hts_battery.query.tables.summary_rows`) with the
    structure of the lowest ordering.
    """
    yield json.dumps({"x-optimade": {"meta": {"api_version": _API_VERSION}}})
    listed = list(rows)
    columns = dict.fromkeys(name for row, _ in listed for name in row)
    yield json.dumps(
        {
            "type": "info",
            "id": _TYPE,
            "properties": {
                f"{PREFIX}{column_name(name)}": {"description": name}
                for name in columns
            },
        }
    )
    for row, structure in listed:
        yield json.dumps(optimade_entry(row, structure), default=str)


def optimade_entry(
    row: Mapping[str, object], structure: Structure
) -> dict[str, object]:
    """
    Write one structure as an OPTIMADE entry, with the row's columns as our fields.

    ``row``: flat row of a summary. ``structure``: its relaxed structure.
    """
    # Half a second that most queries do not need.
    from optimade.adapters.structures import Structure as Adapter  # noqa: PLC0415

    entry = Adapter.ingest_from(plain_structure(structure)).as_dict
    attributes = {
        name: value for name, value in entry["attributes"].items() if value is not None
    }
    attributes["immutable_id"] = f"{row['campaign']}:{row['candidate_id']}"
    attributes |= {f"{PREFIX}{column_name(name)}": value for name, value in row.items()}
    return {
        "id": f"{row['campaign']}-{row['candidate_id']}",
        "type": _TYPE,
        "attributes": attributes,
    }


def column_name(name: str) -> str:
    """
    Write a column's name as OPTIMADE allows: lower case.

    Examples
    --------
    >>> column_name("energy_above_hull_1473K")
    'energy_above_hull_1473k'
    """
    return name.lower()


def archive_bytes(
    structures: Iterable[tuple[SummaryRow, Structure]],
    *,
    file_format: str,
    table: str,
    manifest: ExportManifest,
    zipped: bool,
) -> bytes:
    """
    Pack structures as ``structures/CAMPAIGN/CANDIDATE.cif`` or ``.poscar``.

    ``structures``: summaries with their structures. ``file_format``: ``cif`` or
    ``poscar``. ``table``: the summaries as CSV. ``manifest``: what the archive says of
    itself. ``zipped``: whether it is a zip instead of a tar.gz.
    """
    members = _members(structures, file_format, table, manifest)
    buffer = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mtime = int(manifest.created_at.timestamp())
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _members(
    structures: Iterable[tuple[SummaryRow, Structure]],
    file_format: str,
    table: str,
    manifest: ExportManifest,
) -> Iterator[tuple[str, bytes]]:
    yield MANIFEST, manifest.model_dump_json(indent=1).encode()
    yield TABLE, table.encode()
    for doc, structure in structures:
        place = f"structures/{doc['campaign']}/{doc['candidate_id']}.{file_format}"
        plain = plain_structure(structure)
        text = _poscar(plain, doc) if file_format == "poscar" else plain.to(fmt="cif")
        yield place, text.encode()


def plain_structure(structure: Structure) -> Structure:
    """Return the same sites without charges, labels and properties."""
    from pymatgen.core import Structure as Plain  # noqa: PLC0415 - as below

    symbols = [site.specie.symbol for site in structure]
    return Plain(structure.lattice, symbols, structure.frac_coords)


def _poscar(structure: Structure, doc: SummaryRow) -> str:
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415 - seconds others do not need

    # Sorted, so that every element stands in one block, as VASP expects.
    ordered = structure.get_sorted_structure()
    comment = f"{doc['formula']} {doc['candidate_id']}"
    return str(Poscar(ordered, comment=comment).get_str())


def read_members(content: bytes, names: Iterable[str]) -> dict[str, bytes]:
    """
    Read some members of an archive of either kind.

    ``content``: the archive. ``names``: members; one that is not there is left out.
    Raises OSError, tarfile.TarError, zipfile.BadZipFile if it is no archive.
    """
    wanted = set(names)
    buffer = io.BytesIO(content)
    if zipfile.is_zipfile(buffer):
        with zipfile.ZipFile(buffer) as archive:
            return {
                name: archive.read(name) for name in wanted & set(archive.namelist())
            }
    found = {}
    buffer.seek(0)
    with tarfile.open(fileobj=buffer, mode="r:gz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name in wanted else None
            if file is not None:
                found[member.name] = file.read()
    return found
