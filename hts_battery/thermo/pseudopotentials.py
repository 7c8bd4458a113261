"""
Whether VASP's pseudopotentials are those of one release.

A release is told by titles, and by pymatgen's statistics of their contents where a
calculation brings them. Of the 289 titles that the releases PBE_54 and PBE_64 share,
288 name the same contents, so the release as it was delivered is not asked for.
"""

from __future__ import annotations

import bz2
import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, cast

from hts_battery.thermo.plain_values import mapping_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Spec = Mapping[str, object]

_TOLERANCE = 1e-6  # of the statistics, as pymatgen-io-validation compares them
# Lines on copyright and digest came with later deliveries of the same potentials.
_NOT_CONTENTS = frozenset({"copyr", "sha256"})


def pseudopotential_problem(
    potcar_spec: Sequence[Spec],
    elements: Iterable[str],
    *,
    release: str,
    names_only: bool = False,
) -> str | None:
    """
    Say why pseudopotentials are not those of the MP24 input sets, if they are not.

    Parameters
    ----------
    potcar_spec
        One mapping a potential: ``titel``, and ``summary_stats`` where known.
    elements
        Elements of the calculation.
    release
        As pymatgen calls it, for example ``PBE_64``.
    names_only
        Whether only the names are compared: a stand-in has no titles.

    Returns
    -------
    str or None
        None where nothing speaks against them.
    """
    if not potcar_spec:
        return (
            f"no pseudopotentials are stated, so nothing says that they are {release}"
        )
    wanted, found = _symbols(), {}
    for spec in potcar_spec:
        symbol = symbol_of(str(spec.get("titel")))
        found[symbol.partition("_")[0]] = symbol
    if missing := sorted(set(elements) - found.keys()):
        return f"no pseudopotential is stated for {', '.join(missing)}"
    wrong = [
        f"{found[element]} in the place of {wanted.get(element, 'none')}"
        for element in sorted(elements)
        if found[element] != wanted.get(element)
    ]
    if wrong:
        return f"pseudopotentials: {', '.join(wrong)}"
    if names_only:
        return None
    others = [spec for spec in potcar_spec if not _is_of_release(spec, release)]
    if others:
        titles = ", ".join(str(spec.get("titel")) for spec in others)
        return f"pseudopotentials that are none of {release}: {titles}"
    return None


def contents_known(potcar_spec: Sequence[Spec]) -> bool:
    """Whether a calculation brings the statistics of every pseudopotential."""
    return bool(potcar_spec) and all(_statistics(spec) for spec in potcar_spec)


def symbol_of(title: str) -> str:
    """
    Read the symbol in the title of a pseudopotential.

    Examples
    --------
    >>> symbol_of("PAW_PBE Mn_pv 02Aug2007")
    'Mn_pv'
    """
    words = title.split()
    return words[min(1, len(words) - 1)] if words else ""


def element_of(title: str) -> str:
    """Read the element in the title of a pseudopotential."""
    return symbol_of(title).partition("_")[0]


def _statistics(spec: Spec) -> Mapping[str, object] | None:
    found = mapping_of(spec.get("summary_stats"))
    return found if {"keywords", "stats"} <= set(found) else None


def _is_of_release(spec: Spec, release: str) -> bool:
    from pymatgen.io.vasp.inputs import PotcarSingle  # noqa: PLC0415 - takes 2.5 s

    title = str(spec.get("titel")).replace(" ", "")
    known = _release(release).get(title, ())
    own = _statistics(spec)
    if own is None:
        return bool(known)
    return any(
        PotcarSingle.compare_potcar_stats(
            _contents(one), _contents(own), tolerance=_TOLERANCE
        )
        for one in known
    )


def _contents(statistics: Mapping[str, object]) -> dict[str, object]:
    keywords = mapping_of(statistics["keywords"])
    header = sorted(set(keywords["header"]) - _NOT_CONTENTS)
    return {**statistics, "keywords": {**keywords, "header": header}}


@lru_cache(maxsize=1)
def _symbols() -> dict[str, str]:
    """Element → symbol of its pseudopotential in the MP24 sets."""
    from pymatgen.io.vasp.sets import MP24RelaxSet  # noqa: PLC0415 - takes 2.5 s

    return dict(MP24RelaxSet.CONFIG["POTCAR"])


@lru_cache(maxsize=1)
def _release(name: str) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Title without spaces → statistics, from the installed pymatgen."""
    packed = files("pymatgen.io.vasp") / "potcar-summary-stats.json.bz2"
    found = json.loads(bz2.decompress(packed.read_bytes()))[name]
    return cast("Mapping[str, Sequence[Mapping[str, object]]]", found)
