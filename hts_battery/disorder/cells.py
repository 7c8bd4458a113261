"""Large cells of a parent lattice, decorated at random; which sites are cations."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition, Element, Species, Structure

from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.torus import cells_of, torus
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

ANIONS = frozenset({"O", "F", "S", "Se", "Te", "Cl", "Br", "I", "N"})
"""Elements taken as anions where a cell states no oxidation states."""

_FIXED_STATES = {"Li": 1, "Na": 1, "K": 1, "O": -2, "F": -1, "S": -2, "Cl": -1}
_MOBILE = ("Li", "Na")
_HIGHEST_STATE = 8
_SUM_TOLERANCE = Fraction(1, 10**6)


def lattice_cell(
    parent: str,
    composition: Mapping[str, Mapping[str, float]],
    size: int | Sequence[int],
    *,
    seed: int = 0,
) -> Structure:
    """
    Decorate a parent lattice at random.

    Parameters
    ----------
    parent
        A parent of :func:`~hts_battery.disorder.parents.parent_lattice`. On an ordered
        one the carrier (Li or Na) fills its own sublattice first.
    composition
        Fractions of the species on ``cation`` and ``anion`` sites, that add up to one
        on each: ``{"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}``; ``fcc`` and
        ``simple_cubic`` have cations only. Whole sites by the largest remainder. An
        element without an oxidation state, as ``Mn`` beside ``Mn3+``, is given its
        usual one, or the mean that makes the cell neutral where there is one.
    size
        Conventional cells along each axis: one number or three.
    seed
        Of the decoration.

    Returns
    -------
    Structure
        With oxidation states; cations first.

    Raises
    ------
    OrderingError
        Unknown parent, species or sublattice, a size that is none, or fractions that
        do not add up to one.

    Examples
    --------
    >>> mix = {"cation": {"Li": 0.6, "Mn": 0.4}, "anion": {"O": 1}}
    >>> lattice_cell("rocksalt", mix, 2).composition.formula
    'Li19 Mn13 O32'
    """
    lattice = parent_lattice(parent)
    wanted = {"cation", "anion"} if len(lattice.anions) else {"cation"}
    if parent == "nasicon" or set(composition) != wanted:
        raise OrderingError(
            f"{parent} is decorated by {' and '.join(sorted(wanted))} fractions, "
            f"not {', '.join(sorted(composition)) or 'none'}"
            if parent != "nasicon"
            else "NASICON cells are made by hts_battery.structures.order_candidate"
        )
    for name, shares in composition.items():
        whole_numbers(shares, 1, where=name)  # refuses what are no fractions
    cell = torus(cells_of(size))
    random = np.random.default_rng(seed)
    states = {
        key: Composition({species: 1})  # made once: a site takes long to make its own
        for key, species in oxidation_states(composition).items()
    }
    species: list[Composition] = []
    for name in ("cation", "anion"):
        if name not in composition:
            continue
        places = lattice.sites if name == "cation" else lattice.anions
        shares = {str(key): share for key, share in composition[name].items()}
        numbers = whole_numbers(shares, len(places) * cell.size, where=name)
        own = np.tile(lattice.own, cell.size) if name == "cation" else None
        drawn = _draw(numbers, own, random)
        species += [states[key] for key in drawn]
    points = cell.points()
    stacks = [lattice.sites] + ([lattice.anions] if len(lattice.anions) else [])
    matrix = cell.matrix @ lattice.lattice
    fractional = np.vstack(
        [(points[:, None] + places).reshape(-1, 3) for places in stacks]
    ) @ np.linalg.inv(cell.matrix)
    return Structure(matrix, species, fractional % 1)


def whole_numbers(
    shares: Mapping[str, float], sites: int, *, where: str = "cation"
) -> dict[str, int]:
    """
    Round fractions to whole sites by the largest remainder.

    Parameters
    ----------
    shares
        Fractions that add up to one.
    sites
        Number of sites.
    where
        Sublattice, for messages.

    Examples
    --------
    >>> whole_numbers({"Li": 0.6, "Mn": 0.4}, 32)
    {'Li': 19, 'Mn': 13}
    """
    try:
        exact = {key: Fraction(str(share)) for key, share in shares.items()}
    except ValueError as err:
        listed = ", ".join(f"{key} {share}" for key, share in shares.items())
        raise OrderingError(f"fractions of the {where} sites: {listed}") from err
    total = sum(exact.values(), Fraction(0))
    if abs(total - 1) > _SUM_TOLERANCE or any(share < 0 for share in exact.values()):
        raise OrderingError(
            f"fractions of the {where} sites add up to {float(total):g}, not to one: "
            + ", ".join(f"{key} {float(share):g}" for key, share in exact.items())
        )
    ideal = {key: share / total * sites for key, share in exact.items()}
    numbers = {key: int(amount) for key, amount in ideal.items()}
    rest = sorted(ideal, key=lambda key: numbers[key] - ideal[key])
    for key in rest[: sites - sum(numbers.values())]:
        numbers[key] += 1
    return numbers


def site_species(structure: Structure) -> list[Species | Element]:
    """
    List the species of every site.

    Raises
    ------
    OrderingError
        A site holds more than one species.
    """
    found = []
    known: dict[int, Species | Element] = {}  # sites made alike share what they hold
    for number, site in enumerate(structure):
        held = site.species
        if id(held) not in known:
            kinds = list(held)
            if len(kinds) != 1:
                raise OrderingError(
                    f"site {number} holds {site.species_string}: an ordered cell is "
                    "needed, with one species on every site"
                )
            known[id(held)] = kinds[0]
        found.append(known[id(held)])
    return found


def site_symbols(structure: Structure) -> NDArray[np.str_]:
    """List the element of every site, or the symbol of its dummy."""
    return _by_species(structure, lambda species: species.symbol)


def species_names(structure: Structure) -> NDArray[np.str_]:
    """Name the species of every site: by element where an element has one state."""
    texts = _by_species(structure, str)
    kinds: dict[str, set[str]] = {}
    for text in np.unique(texts):
        kinds.setdefault(element_of(str(text)), set()).add(str(text))
    short = {t: e for e, several in kinds.items() if len(several) == 1 for t in several}
    unique, places = np.unique(texts, return_inverse=True)
    return np.array([short.get(str(text), str(text)) for text in unique])[places]


def element_of(name: str) -> str:
    """
    Return the element of a species' name.

    Examples
    --------
    >>> element_of("Mn3+"), element_of("F-"), element_of("Li")
    ('Mn', 'F', 'Li')
    """
    return name.rstrip("+-0123456789.")


def cation_sites(structure: Structure) -> NDArray[np.bool_]:
    """Say which sites hold cations: by oxidation state, else by element."""
    return np.array(_by_species(structure, _is_cation) == "True")


def _by_species(
    structure: Structure, value: Callable[[Species | Element], object]
) -> NDArray[np.str_]:
    """Ask once for each species and return the text of the answer for every site."""
    species = site_species(structure)
    answers = {id(one): str(value(one)) for one in {id(s): s for s in species}.values()}
    return np.array([answers[id(one)] for one in species])


def _is_cation(species: Species | Element) -> bool:
    state = getattr(species, "oxi_state", None)
    if state:
        return bool(state > 0)
    return species.symbol not in ANIONS


def _draw(
    numbers: Mapping[str, int],
    own: NDArray[np.bool_] | None,
    random: np.random.Generator,
) -> list[str]:
    """Draw the species of each site; carriers fill their own sublattice first."""
    listed = np.array([key for key, count in numbers.items() for _ in range(count)])
    if own is None or not own.any():
        return [str(key) for key in random.permutation(listed)]
    carries = np.array(
        [Species.from_str(_text(key)).symbol in _MOBILE for key in listed]
    )
    order = np.concatenate(
        [
            random.permutation(np.flatnonzero(own)),
            random.permutation(np.flatnonzero(~own)),
        ]
    )
    drawn = np.empty(len(own), dtype=listed.dtype)
    carriers = random.permutation(listed[carries])
    drawn[order[: len(carriers)]] = carriers
    drawn[order[len(carriers) :]] = random.permutation(listed[~carries])
    return [str(key) for key in drawn]


def _text(key: str) -> str:
    """Return a species' text with a charge, so that pymatgen reads elements too."""
    return key if key[-1] in "+-" else f"{key}0+"


def oxidation_states(
    composition: Mapping[str, Mapping[str, float]],
) -> dict[str, Species]:
    """Give every species of a composition its oxidation state."""
    found: dict[str, Species] = {}
    open_ones: dict[str, Fraction] = {}
    charge = Fraction(0)
    for shares in composition.values():
        for key, share in shares.items():
            try:
                species = Species.from_str(_text(str(key)))
            except ValueError as err:
                raise OrderingError(
                    f"{key!r} is no element or species such as Mn or Mn3+"
                ) from err
            state = species.oxi_state if key[-1] in "+-" else None
            if state is None:
                state = _FIXED_STATES.get(species.symbol)
            if state is None:
                open_ones[str(key)] = Fraction(str(share))
                continue
            found[str(key)] = Species(species.symbol, state)
            charge += Fraction(str(share)) * Fraction(str(state))
    found |= _balanced(open_ones, charge)
    return found


def _balanced(amounts: Mapping[str, Fraction], charge: Fraction) -> dict[str, Species]:
    """Give elements usual states near the mean one, the most frequent what is left."""
    present = {key: amount for key, amount in amounts.items() if amount}
    if not present:
        return {}
    mean = -charge / sum(present.values())
    usual = {key: _usual_states(key) for key in present}
    states = {
        key: Fraction(min(known, key=lambda state: abs(state - mean)))
        for key, known in usual.items()
    }
    left = -charge - sum(present[key] * states[key] for key in present)
    last = max(present, key=lambda key: present[key])
    closed = states[last] + left / present[last]
    if 0 < closed <= _HIGHEST_STATE:
        states[last] = closed
    return {key: Species(key, float(state)) for key, state in states.items()}


def _usual_states(element: str) -> tuple[int, ...]:
    """List the positive oxidation states that an element usually has."""
    known = Element(element).common_oxidation_states or ()
    return tuple(state for state in known if state > 0) or (1,)
