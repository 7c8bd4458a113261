"""
Fit the species energies of the ionic potential to CHGNet's energies of compounds.

    python benchmarks/ionic_species.py MORE.json > ionic_species.csv

Reads the shipped CHGNet references and further files of the same form, as `hts
references compute --engine chgnet --write MORE.json` writes them. The table belongs to
hts_battery/structures/data; what fits worst is written to standard error.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Structure

from hts_battery.flows.recipes.references import checked_energy_file, shipped_energies
from hts_battery.schemas.species import Species
from hts_battery.structures.ionic import VERSION, IonicPotential, ions
from hts_battery.structures.references.library import reference_phase
from hts_battery.structures.references.site_properties import reference_charges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.schemas.reference import ReferenceEnergy

HEAD = """\
# Energies of species in the ionic potential, version {version}: of ions in eV, of
# elements in eV per atom. An element has the energy of its lowest phase with CHGNet
# 0.4.2 (10.1038/s42256-023-00716-3). An ion has what is left of CHGNet's energies of
# compounds when charges and repulsion are taken away: least squares over {compounds}
# compounds of the reference library, each at its lowest phase and with its cell scaled
# to no pressure; oxides of alkali metals alone left out. O2- is zero by choice:
# charges cancel, so one energy is free. What is left: root mean square {rms:.0f},
# median {median:.0f} meV/atom. compounds: how many have the species.
# Made by benchmarks/ionic_species.py.
species,energy_ev,compounds"""
ANIONS = {"O": -2.0, "F": -1.0}
GAUGE = ("O", -2)
SHOWN = 12

type_kind = tuple[str, int]


class Compound(NamedTuple):
    """One composition at its lowest phase, energies in eV/atom."""

    chgnet: float
    pairs: float
    amounts: dict[type_kind, float]


def main(files: list[str]) -> None:
    """Print the table."""
    energies = [*shipped_energies("chgnet").energies]
    for file in files:
        content = json.loads(Path(file).read_text("utf-8"))
        energies += checked_energy_file(content, Path(file)).energies
    usable = [one for one in energies if one.rejected is None]
    compounds = fitted_compounds(usable)
    kinds = sorted({kind for one in compounds.values() for kind in one.amounts})
    kinds.remove(GAUGE)
    rows = np.array(
        [[one.amounts.get(kind, 0.0) for kind in kinds] for one in compounds.values()]
    )
    wanted = np.array([one.chgnet - one.pairs for one in compounds.values()])
    found, _, rank, _ = np.linalg.lstsq(rows, wanted, rcond=None)
    if rank < len(kinds):
        raise SystemExit(f"{len(kinds)} species, but only {rank} are decided")
    left = 1000 * (wanted - rows @ found)
    numbers = {
        "rms": float(np.sqrt(np.mean(left**2))),
        "median": float(np.median(np.abs(left))),
    }
    print(HEAD.format(version=VERSION, compounds=len(compounds), **numbers))
    print(f"O2-,0,{sum(GAUGE in one.amounts for one in compounds.values())}")
    for kind, value, column in zip(kinds, found, rows.T, strict=True):
        print(f"{Species(*kind)},{value:.4f},{np.count_nonzero(column)}")
    for symbol, value in sorted(elements(usable).items()):
        print(f"{symbol},{value:.4f},1")
    names = list(compounds)
    for index in np.argsort(-np.abs(left))[:SHOWN]:
        print(f"{names[index]}: {left[index]:.0f} meV/atom", file=sys.stderr)


def elements(energies: Iterable[ReferenceEnergy]) -> dict[str, float]:
    """Lowest energy of each element in eV/atom."""
    lowest: dict[str, float] = {}
    for one in energies:
        symbols = reference_phase(one.phase_id).elements
        if len(symbols) == 1 and one.energy_per_atom is not None:
            (symbol,) = symbols
            lowest[symbol] = min(lowest.get(symbol, 0.0), one.energy_per_atom)
    return lowest


def fitted_compounds(energies: Iterable[ReferenceEnergy]) -> dict[str, Compound]:
    """Compounds of integer charges that the potential describes, by formula."""
    compounds: dict[str, Compound] = {}
    for one in energies:
        charges = reference_charges(reference_phase(one.phase_id))
        structure = Structure.from_dict(one.structure or {})
        symbols = [site.specie.symbol for site in structure]
        if one.energy_per_atom is None or not described(symbols, charges):
            continue
        pairs = pair_energy(structure, symbols, charges) / len(symbols)
        counts = Counter(zip(symbols, map(int, charges), strict=True))
        amounts = {kind: count / len(symbols) for kind, count in counts.items()}
        old = compounds.get(one.formula, Compound(np.inf, np.inf, amounts))
        compounds[one.formula] = Compound(
            min(old.chgnet, one.energy_per_atom), min(old.pairs, pairs), amounts
        )
    return compounds


def described(symbols: list[str], charges: tuple[float, ...]) -> bool:
    """Say whether the potential describes these ions."""
    alkali_oxide = set(symbols) <= {"Li", "Na", "O"}
    return not alkali_oxide and all(
        charge and charge == int(charge) == ANIONS.get(symbol, charge)
        for symbol, charge in zip(symbols, charges, strict=True)
    )


def pair_energy(
    structure: Structure, symbols: list[str], charges: tuple[float, ...]
) -> float:
    """Energy of charges and repulsion alone, the cell scaled to no pressure."""
    potential = IonicPotential(ions(symbols, charges, defaultdict(float)))
    cell, positions = structure.lattice.matrix, structure.cart_coords
    scale = potential.equilibrium_scale(cell, positions)
    return potential.evaluate(scale * cell, scale * positions).energy


if __name__ == "__main__":
    main(sys.argv[1:])
