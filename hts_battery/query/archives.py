"""Archives of structures, with the table of their summaries and a manifest inside."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pymatgen.core import Structure

    from hts_battery.schemas.export import ExportManifest

TABLE = "summaries.csv"
MANIFEST = "manifest.json"


def archive_bytes(
    structures: Iterable[tuple[Mapping[str, Any], Structure]],
    *,
    file_format: str,
    table: str,
    manifest: ExportManifest,
    zipped: bool,
) -> bytes:
    """
    Pack structures as ``structures/CAMPAIGN/CANDIDATE.cif`` or ``.poscar``.

    Parameters
    ----------
    structures
        Summaries with their structures.
    file_format
        ``cif`` or ``poscar``.
    table
        The summaries as CSV.
    manifest
        What the archive says of itself.
    zipped
        Whether it is a zip instead of a tar.gz.
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
    structures: Iterable[tuple[Mapping[str, Any], Structure]],
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


def _poscar(structure: Structure, doc: Mapping[str, Any]) -> str:
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415 - seconds others do not need

    # Sorted, so that every element stands in one block, as VASP expects.
    ordered = structure.get_sorted_structure()
    comment = f"{doc['formula']} {doc['candidate_id']}"
    return str(Poscar(ordered, comment=comment).get_str())


def read_members(content: bytes, names: Iterable[str]) -> dict[str, bytes]:
    """
    Read some members of an archive of either kind.

    Parameters
    ----------
    content
        The archive.
    names
        Members; one that is not there is left out.

    Raises
    ------
    OSError, tarfile.TarError, zipfile.BadZipFile
        If it is no archive.
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
