"""
The entropy of ideal mixing on the sublattices of a crystal.

NASICON in the published convention: Ouyang et al., Nature Communications 12, 5752
(2021), 10.1038/s41467-021-26006-3.
"""

from __future__ import annotations

from fractions import Fraction
from math import isfinite, log
from typing import TYPE_CHECKING

from hts_battery.errors import CompositionError, ConfigurationError
from hts_battery.schemas.candidate import atoms_per_formula_unit
from hts_battery.schemas.entropy import (
    EntropyConvention,
    EntropyOptions,
    EntropyResult,
    SodiumSites,
    SpeciesBasis,
    SublatticeEntropy,
)
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.candidate import Assignment, Candidate

    Amount = Fraction | float
    Sublattice = tuple[Amount, Mapping[str, Amount]]
    """Sites per formula unit, and the fraction of them that each species fills."""
    SiteOccupancies = Mapping[str, Mapping[str, Amount]]
    """Site label → element or Vac → mean number of sites in the calculated cells."""

KB_EV_PER_K = 8.617333262e-5
_ROUNDING = 1e-9
_ROUNDING_OF_COUNTS = Fraction(1, 10**4)  # means of counts arrive as decimals

_SODIUM, _METAL, _POLYANION = "alkali", "metal", "polyanion"
_NASICON_SITES = {
    _SODIUM: Fraction(4),
    _METAL: Fraction(2),
    _POLYANION: Fraction(3),
    "oxygen": Fraction(12),
}
_SODIUM_SITES = {"6b": Fraction(1), "18e": Fraction(3)}
_POLYANION_CENTRES = frozenset(("Si", "P", "S"))


def mixing_entropy(sublattices: Iterable[Sublattice], atoms: Amount) -> float:
    r"""
    Entropy of ideal mixing, summed over independent sublattices.

    .. math:: S = -\frac{k_B}{n} \sum_s m_s \sum_i x_{si} \ln x_{si}

    Parameters
    ----------
    sublattices
        For each sublattice its sites per formula unit :math:`m_s` and the fraction
        of them that each species fills; a vacancy is a species. Fractions of a
        sublattice add up to one.
    atoms
        Atoms per formula unit :math:`n`; vacancies are not atoms.

    Returns
    -------
    float
        Entropy in eV/K per atom.

    Raises
    ------
    ValueError
        If sites, fractions or atoms are negative or not finite, or fractions of a
        sublattice do not add up to one.

    Examples
    --------
    Disordered LiA0.5B0.5O2, in meV/atom at 1473 K:

    >>> cations = {"Li": 0.5, "A": 0.25, "B": 0.25}
    >>> round(mixing_entropy([(2, cations), (2, {"O": 1})], 4) * 1473 * 1000, 3)
    65.988
    """
    if not (isfinite(atoms) and atoms > 0):
        raise ValueError(f"{atoms} atoms per formula unit: must be above zero")
    return sum(_sublattice_entropy(*sublattice) for sublattice in sublattices) / float(
        atoms
    )


def _sublattice_entropy(sites: Amount, fractions: Mapping[str, Amount]) -> float:
    """Entropy of one sublattice in eV/K per formula unit."""
    if not (isfinite(sites) and sites >= 0):
        raise ValueError(f"{sites} sites per formula unit: must not be negative")
    total = float(sum(fractions.values()))
    if min(fractions.values(), default=0) < 0 or not abs(total - 1) < _ROUNDING:
        raise ValueError(
            f"fractions {dict(fractions)} must not be negative and add up to one "
            f"(they add up to {total}); a vacancy is a species"
        )
    mixing = -sum(float(x) * log(x) for x in fractions.values() if x > 0)
    # An unmixed sublattice has exactly no entropy, not minus zero.
    return KB_EV_PER_K * float(sites) * abs(mixing)


def candidate_entropy(
    candidate: Candidate,
    options: EntropyOptions | None = None,
    *,
    assignment: Assignment | None = None,
    site_occupancies: SiteOccupancies | None = None,
) -> EntropyResult:
    """
    Ideal mixing entropy of a candidate in its chosen species assignment.

    Parameters
    ----------
    candidate
        Its sublattices with their sites, and the species on them.
    options
        What is counted; by default the textbook convention, anions counted,
        species told apart by element, sodium sites together.
    assignment
        What the calculated cell holds, per formula unit, where that is not the
        chosen assignment of the candidate; atoms are counted in it too.
    site_occupancies
        For ``sodium_sites="resolved"``: site label (``6b``, ``18e``) → element or
        ``Vac`` → mean number of sites; only ratios matter. Labels and elements of
        other sublattices are passed over.

    Returns
    -------
    EntropyResult
        In eV/K per atom, with the term of each sublattice per formula unit.

    Raises
    ------
    ConfigurationError
        If the options are defined for NASICON only and the candidate is none.
    CompositionError
        If resolved occupancies are missing, or hold other amounts than the
        sublattice: sodium may have left its sites.
    ValueError
        If a sublattice is not full.
    """
    options = options or EntropyOptions()
    held = candidate.assignment if assignment is None else assignment
    published = options.convention is EntropyConvention.OUYANG2021
    resolved = options.sodium_sites is SodiumSites.RESOLVED
    if published:
        _check_nasicon(candidate, "the convention 'ouyang2021'")
    occupied = [(name, candidate.sites[name], held[name]) for name in held]
    if resolved:
        _check_nasicon(candidate, "sodium_sites 'resolved'")
        occupied = [
            part
            for name, sites, species in occupied
            for part in (
                _resolved_sodium(species, site_occupancies)
                if name == _SODIUM
                else [(name, sites, species)]
            )
        ]
    terms = tuple(
        _term(name, species, sites=sites, options=options)
        for name, sites, species in occupied
    )
    atoms = atoms_per_formula_unit(held)
    if published:
        atoms -= 3
    total = sum(term.entropy_per_formula_unit for term in terms if term.counted)
    return EntropyResult(
        entropy=total / float(atoms),
        entropy_per_formula_unit=total,
        atoms_per_formula_unit=atoms,
        terms=terms,
        options=options,
    )


def _resolved_sodium(
    species: Mapping[str, Fraction], occupancies: SiteOccupancies | None
) -> list[tuple[str, Fraction, Mapping[str, Fraction]]]:
    """Split the sodium sublattice into 6b and 18e, as the cells fill them."""
    by_element = {parse_species(text).element: text for text in species}
    parts: list[tuple[str, Fraction, Mapping[str, Fraction]]] = [
        (f"{_SODIUM} {label}", sites, _filled(label, sites, by_element, occupancies))
        for label, sites in _SODIUM_SITES.items()
    ]
    for text, amount in species.items():
        found = sum((held.get(text, Fraction(0)) for _, _, held in parts), Fraction(0))
        if abs(found - amount) > _ROUNDING_OF_COUNTS:
            raise CompositionError(
                f"sites {' and '.join(_SODIUM_SITES)} hold {float(found):g} {text} per "
                f"formula unit, the sublattice {_SODIUM} holds {float(amount):g}"
            )
    return parts


def _filled(
    label: str,
    sites: Fraction,
    by_element: Mapping[str, str],
    occupancies: SiteOccupancies | None,
) -> dict[str, Fraction]:
    """Species per formula unit on one kind of sodium site."""
    counts = {
        by_element.get(element, VACANCY): Fraction(count).limit_denominator(10**6)
        for element, count in (occupancies or {}).get(label, {}).items()
        if element in by_element or element == VACANCY
    }
    total = sum(counts.values())
    if not total:
        raise CompositionError(
            f"sodium_sites 'resolved' needs the occupancies of {label}; got "
            f"{sorted(occupancies or {}) or 'none'}"
        )
    return {text: count * sites / total for text, count in counts.items()}


def _term(
    name: str,
    occupation: Mapping[str, Fraction],
    *,
    sites: Fraction,
    options: EntropyOptions,
) -> SublatticeEntropy:
    """Entropy of one sublattice of a candidate."""
    fractions: dict[str, Fraction] = {}
    for text, amount in occupation.items():
        species = parse_species(text)
        by_element = options.species is SpeciesBasis.ELEMENT
        key = species.element if by_element else str(species)
        if amount:
            fractions[key] = fractions.get(key, Fraction(0)) + amount / sites
    mixing = sites
    if options.convention is EntropyConvention.OUYANG2021 and name == _SODIUM:
        mixing = sum(
            (amount for text, amount in occupation.items() if text != VACANCY),
            Fraction(0),
        )
    return SublatticeEntropy(
        sublattice=name,
        sites=mixing,
        fractions=fractions,
        counted=options.count_anions or not _anionic(occupation),
        entropy_per_formula_unit=_sublattice_entropy(mixing, fractions),
    )


def _anionic(occupation: Mapping[str, Fraction]) -> bool:
    """Whether a sublattice holds anions and nothing else but vacancies."""
    charges = [parse_species(text).charge for text in occupation if text != VACANCY]
    return bool(charges) and max(charges) < 0


def is_nasicon(candidate: Candidate) -> bool:
    """Say whether a candidate has the sublattices of a NASICON formula unit."""
    return not _not_nasicon(candidate)


def _not_nasicon(candidate: Candidate) -> dict[str, Fraction]:
    """Sites that a NASICON has and the candidate has not."""
    return {
        name: sites
        for name, sites in _NASICON_SITES.items()
        if candidate.sites.get(name) != sites
    }


def _check_nasicon(candidate: Candidate, what: str) -> None:
    if wrong := _not_nasicon(candidate):
        expected = ", ".join(f"{name} {sites}" for name, sites in wrong.items())
        raise ConfigurationError(
            f"{candidate!r}: {what} is defined for NASICON only, with sublattices "
            f"{expected} per formula unit"
        )


def nasicon_mixing_entropy(
    formula: str,
    convention: EntropyConvention | str = EntropyConvention.TEXTBOOK,
    *,
    sodium_on_6b: Amount | None = None,
) -> float:
    r"""
    Ideal mixing entropy of a NASICON Na(N)M2(XO4)3, from its formula alone.

    With :math:`H = -\sum x \ln x` and
    :math:`h(p) = -p \ln p - (1 - p) \ln(1 - p)`, the textbook says

    .. math:: S = k_B [2 H(M) + 3 H(X) + 4 h(N/4)] / (N + 17)

    and 10.1038/s41467-021-26006-3 says

    .. math:: S = k_B [2 H(M) + 3 H(X) + N h(N/4)] / (N + 14)

    Parameters
    ----------
    formula
        Sodium, metals, Si, P or S, and oxygen, in any multiple.
    convention
        ``textbook`` or ``ouyang2021``.
    sodium_on_6b
        Sodium on the one 6b site per formula unit, the rest on the three 18e
        sites; by default all four sites share the sodium evenly.

    Returns
    -------
    float
        Entropy in eV/K per atom.

    Raises
    ------
    ValueError
        If the formula is not a NASICON, the convention is not one of the two, or
        the sites do not hold the sodium.

    Examples
    --------
    >>> round(nasicon_mixing_entropy("Na3Zr2Si2PO12") * 1000 * 1000, 3)
    17.919
    >>> nasicon_mixing_entropy("NaZr2(PO4)3", sodium_on_6b=1)
    0.0
    """
    if convention not in list(EntropyConvention):
        allowed = ", ".join(EntropyConvention)
        raise ValueError(f"entropy convention {convention!r} is not one of: {allowed}")
    sodium, metals, centres = _nasicon_sites(formula)
    framework: list[Sublattice] = [(2, metals), (3, centres)]
    if convention == EntropyConvention.TEXTBOOK:
        return mixing_entropy(
            framework + _sodium_sites(sodium, sodium_on_6b), sodium + 17
        )
    if sodium_on_6b is not None:
        raise ValueError("sodium_on_6b has a meaning in the textbook convention only")
    mixed = _shared(sodium, 4, "the four sodium sites")
    return mixing_entropy([*framework, (sodium, mixed)], sodium + 14)


def _sodium_sites(sodium: Fraction, on_6b: Amount | None) -> list[Sublattice]:
    if on_6b is None:
        return [(4, _shared(sodium, 4, "the four sodium sites"))]
    on_18e = sodium - Fraction(on_6b)
    return [
        (1, _shared(Fraction(on_6b), 1, "the 6b site")),
        (3, _shared(on_18e, 3, "the three 18e sites")),
    ]


def _shared(sodium: Fraction, sites: int, where: str) -> dict[str, Fraction]:
    if not 0 <= sodium <= sites:
        raise ValueError(f"{sodium} Na per formula unit do not fit on {where}")
    return {"Na": sodium / sites, VACANCY: 1 - sodium / sites}


def _nasicon_sites(
    formula: str,
) -> tuple[Fraction, dict[str, Fraction], dict[str, Fraction]]:
    """Sodium per formula unit, and site fractions of metals and of centres."""
    amounts = parse_formula(formula)
    oxygen = amounts.pop("O", Fraction(0))
    if not oxygen:
        raise ValueError(f"{formula!r} is not a NASICON: it has no oxygen")
    unit = oxygen / 12
    sodium = amounts.pop("Na", Fraction(0)) / unit
    centres = {el: n / unit / 3 for el, n in amounts.items() if _is_centre(el)}
    metals = {el: n / unit / 2 for el, n in amounts.items() if not _is_centre(el)}
    if sum(metals.values()) != 1 or sum(centres.values()) != 1:
        raise ValueError(
            f"{formula!r} is not a NASICON: per 12 O it needs 2 metals and 3 of "
            f"{', '.join(sorted(_POLYANION_CENTRES))}"
        )
    return sodium, metals, centres


def _is_centre(element: str) -> bool:
    return element in _POLYANION_CENTRES


_SPECIES = {
    SpeciesBasis.ELEMENT: "by element",
    SpeciesBasis.OXIDATION_STATE: "by species (oxidation states mix)",
}


def mixing_words(options: EntropyOptions) -> str:
    """Say which mixing counts."""
    counted = "cations and anions" if options.count_anions else "cations only"
    words = [counted, _SPECIES[options.species]]
    if options.convention is EntropyConvention.OUYANG2021:
        words.append("per N + 14 atoms as in 10.1038/s41467-021-26006-3")
    if options.sodium_sites is SodiumSites.RESOLVED:
        words.append("sodium on 6b and 18e separately")
    return ", ".join(words)


def other_options(
    options: EntropyOptions, *, nasicon: bool
) -> tuple[EntropyOptions, ...]:
    """Name the other mixings that a family's literature counts, the first one first."""
    by_element = options.species is SpeciesBasis.ELEMENT
    species = SpeciesBasis.OXIDATION_STATE if by_element else SpeciesBasis.ELEMENT
    other: dict[str, object] = {"count_anions": not options.count_anions}
    if nasicon:
        textbook = options.convention is EntropyConvention.TEXTBOOK
        other = {
            "convention": EntropyConvention.OUYANG2021
            if textbook
            else EntropyConvention.TEXTBOOK,
            "sodium_sites": SodiumSites.TOGETHER,
        }
        changes: list[dict[str, object]] = [other, {"species": species}]
    else:
        changes = [other, {"species": species}, {**other, "species": species}]
    return tuple(options.model_copy(update=change) for change in changes)


def other_entropies(
    candidate: Candidate,
    options: EntropyOptions,
    *,
    assignment: Assignment | None = None,
    site_occupancies: SiteOccupancies | None = None,
) -> tuple[EntropyResult, ...]:
    """Ideal mixing entropies of a candidate with :func:`other_options`."""
    return tuple(
        candidate_entropy(
            candidate,
            other,
            assignment=assignment,
            site_occupancies=site_occupancies,
        )
        for other in other_options(options, nasicon=is_nasicon(candidate))
    )
