"""Competing phases from structures of the user's own, checked as the library's are."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from pymatgen.analysis.bond_valence import BVAnalyzer
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Element, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from hts_battery.errors import ConfigurationError, HTSBatteryError
from hts_battery.schemas.reference import (
    ReferencePhase,
    ReferenceSite,
    ReferenceSource,
    SourceKind,
)
from hts_battery.structures.references.checks import (
    SYMMETRY_TOLERANCE_ANGSTROM,
    phase_problems,
)
from hts_battery.structures.references.library import (
    load_reference_phases,
    parse_oxidation_species,
    reference_structure,
)
from hts_battery.structures.structure_files import disordered_sites, is_disordered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST_PHASE = 300
"""Atoms in the primitive cell of a competing phase; the library's largest has 264."""
OWN_GROUP = "own"
"""Group of a phase that no file of the library holds."""
_LARGEST_DENOMINATOR = 60
_NAME = re.compile(r"[^A-Za-z0-9.]+")


class OwnPhase(NamedTuple):
    """A structure as a competing phase, or why it cannot be one."""

    name: str
    """File, and which of its structures, for messages."""
    phase: ReferencePhase | None
    problems: tuple[str, ...] = ()
    """Why it may not compete; empty if it may."""
    notes: tuple[str, ...] = ()
    """What the user should know of it."""


def own_phase(
    structure: Structure,
    name: str,
    *,
    source: ReferenceSource,
    states: Mapping[str, Fraction] | None = None,
    phase_id: str | None = None,
    note: str | None = None,
) -> OwnPhase:
    """
    Make a competing phase of an ordered structure, checked as the library's are.

    Its oxidation states are those of the structure, else those given, else zero for
    elements and alloys, else what bond valences or the charges of its elements say.

    Parameters
    ----------
    structure
        Every site holds one atom; any cell of it.
    name
        Where it is from, for messages; part of the id.
    source
        What the document says of its source.
    states
        Element → oxidation state, for elements of a structure that states none.
    phase_id
        Id instead of one made of formula and name.
    note
        What a reader of the library should know.

    Returns
    -------
    OwnPhase
        With ``problems`` where it may not compete: disorder, too many atoms, charges
        that do not add up, distances that no crystal has.
    """
    if is_disordered(structure):
        return OwnPhase(name, None, (_disordered(structure),))
    primitive = structure.get_primitive_structure(tolerance=0.05)
    if len(primitive) > LARGEST_PHASE:
        problem = (
            f"{len(primitive)} atoms in the primitive cell, at most {LARGEST_PHASE} "
            "can be a competing phase"
        )
        return OwnPhase(name, None, (problem,))
    try:
        charges = _charges(primitive, states or {})
        phase = _phase(primitive, charges, source, phase_id or _id(structure, name))
        if note is not None:
            phase = phase.model_copy(update={"note": note})
        problems = phase_problems(phase)
    except (HTSBatteryError, ValueError) as err:
        return OwnPhase(name, None, (" ".join(str(err).split()),))
    return OwnPhase(name, phase, problems, _notes(phase))


def _disordered(structure: Structure) -> str:
    sites = "; ".join(
        f"{label} holds "
        + " + ".join(f"{n:g} {species}" for species, n in held.items())
        for label, held in list(disordered_sites(structure).items())[:3]
    )
    return (
        f"disordered ({sites}): give an ordered cell, or --order N for the N orderings "
        "of lowest electrostatic energy; as a parent of candidates it goes through "
        "`hts space from-cif`"
    )


def _id(structure: Structure, name: str) -> str:
    label = _NAME.sub("-", name).strip("-.")
    formula = structure.composition.element_composition.reduced_formula
    if label in {"", formula}:
        return f"{formula}-own"
    return label if label.startswith(f"{formula}-") else f"{formula}-{label}"


def _phase(
    structure: Structure,
    charges: Sequence[Fraction],
    source: ReferenceSource,
    phase_id: str,
) -> ReferencePhase:
    """Write down a primitive cell atom by atom: no setting can go wrong."""
    bare = structure.copy()
    bare.remove_oxidation_states()
    found = SpacegroupAnalyzer(bare, symprec=SYMMETRY_TOLERANCE_ANGSTROM)
    number = found.get_space_group_number()
    formula = bare.composition.reduced_formula
    return ReferencePhase(
        phase_id=phase_id,
        formula=formula,
        group=OWN_GROUP,
        space_group_symbol="P1",
        space_group_number=1,
        supergroup=number if number > 1 else None,
        cell=tuple(float(one) for one in bare.lattice.parameters),
        sites=tuple(
            ReferenceSite(
                element=site.specie.symbol,
                oxidation_state=charge,
                position=tuple(float(x) for x in site.frac_coords),
            )
            for site, charge in zip(bare, charges, strict=True)
        ),
        source=source,
    )


def given_states(texts: Sequence[str]) -> dict[str, Fraction]:
    """
    Read oxidation states as a user names them.

    Raises ConfigurationError if one is no species, or an element stands twice.

    Examples
    --------
    >>> given_states(["Fe8/3+", "O2-"])["Fe"]
    Fraction(8, 3)
    """
    found: dict[str, Fraction] = {}
    for text in texts:
        element, charge = parse_oxidation_species(text)
        if element in found:
            raise ConfigurationError(
                f"{element} stands twice in the oxidation states; a site of several "
                "takes the mean: Fe8/3+"
            )
        found[element] = charge
    return found


def _charges(
    structure: Structure, states: Mapping[str, Fraction]
) -> tuple[Fraction, ...]:
    """Formal charge of every atom, from the first source that says it."""
    symbols = [site.specie.symbol for site in structure]
    stated = [getattr(site.specie, "oxi_state", None) for site in structure]
    known = [_exact(one) for one in stated if one is not None]
    if not states and len(known) == len(symbols) and any(known):
        return _neutral(known, "the file's oxidation states")
    elements = set(symbols)
    if missing := elements - states.keys():
        states = {**_known_states(structure, elements, missing, states), **states}
    return _neutral([states[symbol] for symbol in symbols], "the oxidation states")


def _known_states(
    structure: Structure,
    elements: set[str],
    missing: set[str],
    given: Mapping[str, Fraction],
) -> Mapping[str, Fraction]:
    """Oxidation state of each element that nobody states."""
    if len(elements) == 1 or all(_is_metallic(one) for one in elements):
        return dict.fromkeys(missing, Fraction(0))
    bare = structure.copy()
    bare.remove_oxidation_states()
    amounts = bare.composition.get_el_amt_dict()
    if given and len(missing) == 1:
        (name,) = missing
        rest = sum(
            (given[one] * Fraction(amounts[one]) for one in elements - missing),
            Fraction(0),
        )
        return {name: -rest / Fraction(amounts[name])}
    return _guessed(bare)


def _guessed(bare: Structure) -> dict[str, Fraction]:
    """Mean state of each element by bond valences, else by the commonest charges."""
    try:
        valences = BVAnalyzer().get_valences(bare)  # type: ignore[no-untyped-call] # pymatgen is partly typed
    except ValueError:  # what it raises where no assignment is neutral
        guesses = bare.composition.reduced_composition.oxi_state_guesses()
        if not guesses:
            raise ConfigurationError(
                f"the oxidation states of {bare.composition.reduced_formula} are not "
                "known: name them, --state Fe3+ --state O2-"
            ) from None
        return {name: _exact(state) for name, state in guesses[0].items()}
    sums: dict[str, list[int]] = {}
    for site, valence in zip(bare, valences, strict=True):
        sums.setdefault(site.specie.symbol, []).append(int(valence))
    return {name: Fraction(sum(all_), len(all_)) for name, all_ in sums.items()}


def _is_metallic(symbol: str) -> bool:
    element = Element(symbol)
    return bool(element.is_metal) and not element.is_metalloid


def _exact(value: float) -> Fraction:
    return Fraction(float(value)).limit_denominator(_LARGEST_DENOMINATOR)


def _neutral(charges: Sequence[Fraction], what: str) -> tuple[Fraction, ...]:
    total = sum(charges, Fraction(0))
    if total:
        raise ConfigurationError(
            f"{what} add up to {total} in the cell of {len(charges)} atoms: name "
            "others, --state Fe3+ --state O2-"
        )
    return tuple(charges)


def _notes(phase: ReferencePhase) -> tuple[str, ...]:
    """Name the phase of the library that it is, if it is one."""
    matcher = StructureMatcher()
    structure = reference_structure(phase)
    for known in load_reference_phases():
        if (
            known.elements == phase.elements
            and _reduced(known) == _reduced(phase)
            and matcher.fit(structure, reference_structure(known))
        ):
            return (f"the library has this structure as {known.phase_id}",)
    return ()


def _reduced(phase: ReferencePhase) -> frozenset[tuple[str, Fraction]]:
    total = sum(phase.amounts.values(), Fraction(0))
    return frozenset((name, n / total) for name, n in phase.amounts.items())


def found_space_group(phase: ReferencePhase) -> str:
    """Symbol of the space group: of one written atom by atom, that of its structure."""
    if phase.group == OWN_GROUP and phase.supergroup is not None:
        return str(sg_symbol_from_int_number(phase.supergroup))
    return phase.space_group_symbol


def file_source(file: str, *, ordered_by_us: bool = False) -> ReferenceSource:
    """Say that a structure is the user's own, and which file it was read in."""
    kind = SourceKind.OWN_FILE_ORDERED if ordered_by_us else SourceKind.OWN_FILE
    return ReferenceSource(kind=kind, file=file)


def materials_project_source(material_id: str) -> ReferenceSource:
    """Say that a structure is one of the Materials Project."""
    return ReferenceSource(
        kind=SourceKind.COMPUTED_STRUCTURE,
        database="Materials Project",
        number=material_id,
        citation="10.1063/1.4812323",
        licence="CC-BY-4.0",
    )
