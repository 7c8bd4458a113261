"""Which mixing an entropy counts, in words, and the entropies of other conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.schemas.entropy import (
    EntropyConvention,
    EntropyOptions,
    SodiumSites,
    SpeciesBasis,
)
from hts_battery.thermo.entropy import candidate_entropy, is_nasicon

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Assignment, Candidate
    from hts_battery.schemas.entropy import EntropyResult
    from hts_battery.thermo.entropy import SiteOccupancies

_SPECIES = {
    SpeciesBasis.ELEMENT: "by element",
    SpeciesBasis.OXIDATION_STATE: "by species (oxidation states mix)",
}


def mixing_words(options: EntropyOptions) -> str:
    """
    Say which mixing counts.

    Examples
    --------
    >>> mixing_words(EntropyOptions())
    'cations and anions, by element'
    >>> mixing_words(EntropyOptions(count_anions=False))
    'cations only, by element'
    """
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
    """
    Name the other conventions that the literature of a family uses.

    Parameters
    ----------
    options
        What is counted.
    nasicon
        Whether the sites are those of a NASICON, which has a published convention of
        its own and only oxygen on its anion sites.

    Returns
    -------
    tuple of EntropyOptions
        The one that tables show first: for a NASICON the textbook's or the published
        one, for any other family anions counted or not.

    Examples
    --------
    >>> [mixing_words(other) for other in other_options(EntropyOptions(), nasicon=True)]
    ['cations and anions, by element, per N + 14 atoms as in \
10.1038/s41467-021-26006-3', 'cations and anions, by species (oxidation states mix)']
    """
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
    """
    Ideal mixing entropy of a candidate, had another mixing been counted.

    Parameters are those of :func:`~hts_battery.thermo.entropy.candidate_entropy`; the
    results are in the order of :func:`other_options`.
    """
    return tuple(
        candidate_entropy(
            candidate,
            other,
            assignment=assignment,
            site_occupancies=site_occupancies,
        )
        for other in other_options(options, nasicon=is_nasicon(candidate))
    )
