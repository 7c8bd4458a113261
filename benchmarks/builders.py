"""
Nights of the builders: from scratch, unchanged, and after each kind of change.

Runs on its own embedded server. Inputs are synthetic but physical: candidates are
those of ``workflows/campaigns/hedrx_18810.yaml``; references are machine-learned
formation energies of Materials Project compositions (10.1038/s41524-020-00362-y) in
the campaign's elements, the elements at zero, where that file is given, otherwise the
energies that this package ships. A candidate's energy is that of the lowest mixture of
references plus 30 meV/atom plus 40 meV/atom times (u - 1/2), u the first 32 bits of its
id as a fraction of one. Each task holds a 40-atom cell, as relaxations do; orderings
are not stored with them, so that their comparison with the relaxed cell takes no part.

Prints one figure a line: documents touched and wall seconds of each builder, and for
each night the processor seconds of builders and server together, which a busy machine
changes less; numerical libraries have one thread.

At the end every stability is made once more from nothing, by that builder alone. Its
processor seconds of one candidate (two documents, reading and writing and the server
included) stand beside those of the two calls of emmet's thermo builder, without a
database, for candidates of fewest elements among the references inside their elements.
Both must find the same E_hull, or the program stops. ``ratio`` is emmet's time over
ours, a lower bound where emmet was stopped at the limit.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psutil
from figures import Printer
from one_core import on_one_core
from pymatgen.core import Lattice, Structure

from hts_battery.builders.properties.local_structure import LocalStructureBuilder
from hts_battery.campaign.build import build
from hts_battery.campaign.references import store_references
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.connections.database import embedded
from hts_battery.connections.database.database import database
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.stores import open_stores
from hts_battery.flows.recipes.references import shipped_energies
from hts_battery.query import ScreeningDatabase
from hts_battery.schemas.formula import integer_amounts, parse_formula
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.thermo import Hull

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

ROOT = Path(__file__).resolve().parents[1]
CAMPAIGN = ROOT / "workflows/campaigns/hedrx_18810.yaml"
SHARED = ROOT.parent / "shared/data/hull/formation_energies_roost.json.gz"
TEMPERATURES = (0.0, 1473.0)
LATE = 100
ATOMS = 40
BATCH = 500
VERSION = "benchmark"
QUESTIONS = 3
LIMIT = 20
"""Processor seconds of the peer for each of its questions."""


class Question(NamedTuple):
    """What emmet is asked: a candidate beside its references, energies in eV/atom."""

    formula: str
    energy: float
    references: dict[str, float]
    above_hull: float
    """Our answer at 0 K."""


def main() -> None:
    """Read the options and measure."""
    on_one_core()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--candidates", type=int, default=18_810)
    parser.add_argument(
        "--references",
        type=Path,
        default=SHARED if SHARED.is_file() else None,
        help="formation energies, formula to eV/atom; the shipped ones if none",
    )
    asked = parser.parse_args()
    show = Printer(as_json=asked.as_json)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as stores:
        campaign = nights(asked.candidates, asked.references, stores, show)
        seconds = thermo_alone(campaign, stores, show)
        asked_peer = questions(campaign, stores)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show("peak memory of the building process", used, "MiB")
    against_emmet(asked_peer, seconds, show)


@contextmanager
def opened(folder: Path) -> Iterator[Stores]:
    """Open the stores of an empty embedded database."""
    with (
        database(None, name="benchmark", data_dir=folder) as found,
        open_stores(found) as stores,
    ):
        ensure_indexes(stores)
        yield stores


def nights(  # noqa: PLR0915 - one night after the other
    count: int, path: Path | None, stores: Stores, show: Printer
) -> Campaign:
    """Measure every kind of night, one after the other on one database."""
    start = time.perf_counter()
    campaign = campaign_of(count)
    members = [candidate for _, candidate in campaign.members()]
    show("candidates drawn", time.perf_counter() - start, "s")
    references = reference_energies(campaign, path)
    store_references(references, stores)
    hull = Hull(
        [energy.formula for energy in references],
        [float(energy.energy_per_atom or 0) for energy in references],
    )
    energies = candidate_energies(members, hull)
    start = time.perf_counter()
    register(campaign, stores)
    add_tasks(members[:-LATE], energies, campaign, stores)
    show("inputs written", time.perf_counter() - start, "s")
    show("references", len(references), "documents")
    night("from scratch", campaign, stores, show)
    night("no change", campaign, stores, show)
    night("no change, all verified", campaign, stores, show, verify=True)

    LocalStructureBuilder.code_version = "next"
    night("new version of one property", campaign, stores, show)

    add_tasks(members[-LATE:], energies, campaign, stores)
    night(f"{LATE} new candidates", campaign, stores, show)

    store_references([new_reference(members[0], hull)], stores)
    night("1 new reference", campaign, stores, show)
    night("no change after a new reference", campaign, stores, show)

    start = time.perf_counter()
    correct_oxygen(stores)
    show("entries corrected by hand", time.perf_counter() - start, "s")
    night("correction change", campaign, stores, show, verify=True)
    screening = ScreeningDatabase(stores)
    start = time.perf_counter()
    found = list(screening.stable(temperature=1473.0, threshold=0.0, limit=20))
    show(f"query of the {len(found)} most stable", time.perf_counter() - start, "s")
    return campaign


def campaign_of(count: int) -> Campaign:
    """Read the campaign with another number of candidates."""
    text = CAMPAIGN.read_text(encoding="utf-8")
    assert "count: 18810," in text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CAMPAIGN.name
        path.write_text(text.replace("count: 18810,", f"count: {count},"), "utf-8")
        return load_campaign(path)


def night(
    name: str,
    campaign: Campaign,
    stores: Stores,
    show: Printer,
    *,
    verify: bool = False,
) -> None:
    """Run every builder once and print what it did."""
    start, used = time.perf_counter(), processor_seconds(stores)
    reports = build(campaign.spec, stores, temperatures=TEMPERATURES, verify=verify)
    seconds = time.perf_counter() - start
    for builder, done in reports.items():
        touched = done.written + done.removed
        show(f"{name}: {builder}, documents touched", touched, "documents")
        show(f"{name}: {builder}, unchanged", done.unchanged, "inputs")
        show(f"{name}: {builder}", done.seconds, "s")
    show(f"{name}: whole night", seconds, "s")
    used = processor_seconds(stores) - used
    show(f"{name}: whole night, processor time", used, "s")


def processor_seconds(stores: Stores) -> float:
    """Return what this process and the database server have used so far."""
    server = stores.database.server
    pid = embedded.status(server.data_dir).pid if server else None
    times = psutil.Process(pid).cpu_times() if pid else None
    return time.process_time() + (times.user + times.system if times else 0.0)


def thermo_alone(campaign: Campaign, stores: Stores, show: Printer) -> float:
    """Judge every candidate anew; processor seconds of one, both temperatures."""
    stores.thermo.collection.delete_many({})
    used = processor_seconds(stores)
    reports = build(campaign.spec, stores, temperatures=TEMPERATURES, only="thermo")
    used = processor_seconds(stores) - used
    each = used * len(TEMPERATURES) / reports["thermo"].written
    show("thermo from scratch, processor time of a candidate", each, "s")
    return each


def questions(campaign: Campaign, stores: Stores) -> list[Question]:
    """Ask about candidates of fewest elements, each among the references inside."""
    criteria = {"kind": "reference", "state": "used"}
    used = list(
        stores.entries.query(criteria, ["entry_id", "formula", "elements", "energy"])
    )
    members = [candidate for _, candidate in campaign.members()]
    found = []
    for candidate in sorted(members, key=lambda one: len(one.elements))[:QUESTIONS]:
        ours = stores.thermo.query_one(
            {"candidate_id": candidate.candidate_id, "temperature": 0.0}
        )["result"]
        known: dict[str, float] = {}
        for entry in used:
            inside = set(entry["elements"]) <= set(candidate.elements)
            if inside and entry["entry_id"] not in ours["excluded_references"]:
                energy = entry["energy"]["energy_per_atom"]
                formula = entry["formula"]
                known[formula] = min(energy, known.get(formula, energy))
        found.append(
            Question(
                candidate.formula,
                ours["energy_per_atom"],
                known,
                ours["energy_above_hull"],
            )
        )
    return found


def against_emmet(asked: Sequence[Question], ours: float, show: Printer) -> None:
    """Have emmet's thermo builder answer, within a limit; its answers must be ours."""
    # Here, so that what only the peer needs is no part of our peak memory.
    from hull import DISAGREEMENT, ask_emmet, limited  # noqa: PLC0415 - as above

    peer = f"emmet-core {version('emmet-core')} thermo documents"
    for one in asked:
        figure = f"thermo of {one.formula} among {len(one.references)} references"
        unit = "s of processor"
        found = limited(LIMIT, ask_emmet, one.references, [one.formula], [one.energy])
        if found is None:
            unit += f", stopped at the limit of {LIMIT} s"
            show(figure, LIMIT, unit, peer=peer, ratio=LIMIT / ours)
            continue
        (theirs,), building, asking = found
        if not abs(theirs - one.above_hull) < DISAGREEMENT:
            raise SystemExit(
                f"{one.formula}: E_hull {one.above_hull} eV/atom, {peer}: {theirs}"
            )
        seconds = building + asking
        show(figure, seconds, unit, peer=peer, ratio=seconds / ours)


def reference_energies(campaign: Campaign, path: Path | None) -> list[ReferenceEnergy]:
    """Return the references inside the campaign's elements."""
    if path is None:
        shipped = shipped_energies("chgnet").energies
        return [
            energy.model_copy(update={"versions": {"chgnet": VERSION}})
            for energy in shipped
            if energy.rejected is None
        ]
    species = campaign.spec.space["sublattices"]  # type: ignore[index]
    names = [name for part in species.values() for name in part["species"]]
    elements = {name.rstrip("+-0123456789") for name in names}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found: dict[str, float] = json.load(file)
    found = {**found, **dict.fromkeys(sorted(elements), 0.0)}
    return [
        reference(formula, energy)
        for formula, energy in sorted(found.items())
        if parse_formula(formula).keys() <= elements
    ]


def reference(formula: str, energy: float) -> ReferenceEnergy:
    """Return the energy of one competing phase, eV/atom."""
    return ReferenceEnergy(
        phase_id=f"roost-{formula}",
        formula=formula,
        engine="chgnet",
        energy_per_atom=energy,
        n_atoms=1,
        converged=True,
        start_digest="none",
        versions={"chgnet": VERSION},
    )


def candidate_energies(members: Sequence[CandidateDoc], hull: Hull) -> dict[str, float]:
    """Return eV/atom of each candidate, the same in every run."""
    lowest = hull.lower_energies([candidate.formula for candidate in members])
    assert not np.isnan(lowest).any(), "a candidate's element has no reference"
    draw = [int(candidate.candidate_id[:8], 16) / 16**8 for candidate in members]
    energies = lowest + 0.030 + 0.040 * (np.array(draw) - 0.5)
    names = [candidate.candidate_id for candidate in members]
    return dict(zip(names, energies.tolist(), strict=True))


def new_reference(candidate: CandidateDoc, hull: Hull) -> ReferenceEnergy:
    """Return a compound of two metals of a candidate, 20 meV/atom below the hull."""
    metals = [el for el in candidate.elements if el not in {"Li", "O", "F"}][:2]
    formula = f"Li2{metals[0]}{metals[1]}O4"
    lowest = float(hull.lower_energies([formula])[0])
    return reference(formula, lowest - 0.020)


def add_tasks(
    members: Sequence[CandidateDoc],
    energies: dict[str, float],
    campaign: Campaign,
    stores: Stores,
) -> None:
    """Write a finished relaxation of each candidate."""
    for start in range(0, len(members), BATCH):
        docs = [
            task(candidate, energies[candidate.candidate_id], campaign)
            for candidate in members[start : start + BATCH]
        ]
        stores.tasks.update(docs, key=["uuid", "index"])


def task(candidate: CandidateDoc, energy: float, campaign: Campaign) -> dict[str, Any]:
    """Return the document of a finished relaxation; energy in eV/atom."""
    structure = cell(candidate)
    return {
        "uuid": f"{candidate.candidate_id}-task",
        "index": 1,
        "metadata": {
            "step": "relax",
            "final": True,
            "candidate_id": candidate.candidate_id,
            "content_key": campaign.key(candidate),
            "calculation": campaign.spec.calculation,
            "ordering_method": "sqs",
        },
        "output": {
            "state": "successful",
            "is_force_converged": True,
            "forcefield_version": VERSION,
            "structure": structure.as_dict(),
            "output": {"energy": energy * len(structure), "n_steps": 30},
        },
    }


def cell(candidate: CandidateDoc) -> Structure:
    """Put about 40 atoms of a candidate on a rocksalt lattice, in any order."""
    amounts = integer_amounts(candidate.amounts)
    total = sum(amounts.values())
    counts = {el: max(1, round(ATOMS * n / total)) for el, n in amounts.items()}
    cations = [el for el, n in counts.items() if el not in {"O", "F"} for _ in range(n)]
    anions = [el for el, n in counts.items() if el in {"O", "F"} for _ in range(n)]
    sites = [*cations, *anions]
    places = [(x, y, z) for x in range(4) for y in range(4) for z in range(4)]
    return Structure(
        Lattice.cubic(8.4), sites, np.array(places[: len(sites)], dtype=float) / 4
    )


def correct_oxygen(stores: Stores) -> None:
    """Add 10 meV per O to every entry, as another release of corrections would."""
    batch: list[dict[str, Any]] = []
    for entry in stores.entries.query({"state": "used"}):
        entry.pop("_id")
        energy = entry["energy"]
        amounts = parse_formula(entry["formula"])
        oxygen = float(amounts.get("O", 0)) / float(sum(amounts.values()))
        value = 0.010 * oxygen * energy["n_atoms"]
        energy["energy_per_atom"] += 0.010 * oxygen
        energy["adjustments"] = [{"name": "O", "value": value, "reason": "benchmark"}]
        energy["package_versions"] = {"corrections": "next"}
        batch.append(entry)
        if len(batch) == BATCH:
            stores.entries.update(batch, key="entry_id")
            batch = []
    if batch:
        stores.entries.update(batch, key="entry_id")


if __name__ == "__main__":
    main()
