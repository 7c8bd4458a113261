"""The kinds of VASP energies that hulls are made of, and what each asks for."""

from __future__ import annotations

import bz2
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hts_battery.schemas.calculation import PotcarRow, PotcarStatistics


@dataclass(frozen=True, kw_only=True)
class VaspScheme:
    """
    One kind of VASP energies; energies of two kinds never stand in one hull.

    Parameters
    ----------
    engine
        Name of the engine that computes them.
    calculator
        Name that every energy carries.
    corrections
        Name of the scheme that corrects them; begins with ``none`` and says why where
        nothing is added.
    run_types
        Run types, as emmet-core names them, that belong to it.
    functional
        Functional, as pymatgen-io-validation calls it.
    potentials
        Release of VASP's pseudopotentials, as pymatgen calls it.
    rehearsal
        Whether a stand-in computes them: its pseudopotentials are names only.
    """

    engine: str
    calculator: str
    corrections: str
    run_types: tuple[str, ...]
    functional: str
    potentials: str
    rehearsal: bool = False

    @property
    def corrected(self) -> bool:
        """Whether anything is added to its energies."""
        return not self.corrections.startswith("none")

    def run_type(self, name: str) -> str | None:
        """Return a run type in emmet-core's spelling, none where it does not belong."""
        known = {one.casefold(): one for one in self.run_types}
        return known.get(name.casefold())


MP_GGA = VaspScheme(
    engine="vasp-mp-gga",
    calculator="vasp PBE+U, Materials Project settings",
    corrections="MaterialsProject2020Compatibility",
    run_types=("GGA", "GGA+U"),
    functional="pbe",
    potentials="PBE",
)
"""PBE and PBE+U as the Materials Project computed them until 2022."""

MP24 = VaspScheme(
    engine="vasp-mp24",
    calculator="vasp mp24 r2SCAN PBE_64",
    corrections="none: MP2020 corrections are fitted to PBE and PBE+U",
    run_types=("r2SCAN",),
    functional="r2scan",
    potentials="PBE_64",
)
"""r2SCAN as the Materials Project computes it with the sets of 2024."""


def is_vasp(engine: str) -> bool:
    """Say whether an engine, or the one that it stands in for, is VASP."""
    return engine.rpartition(":")[2] in {MP_GGA.engine, MP24.engine}


def vasp_scheme(engine: str) -> VaspScheme:
    """
    Return the scheme of an engine, or of a stand-in for it.

    Examples
    --------
    >>> vasp_scheme("rehearsal:vasp-mp24").calculator
    'vasp mp24 r2SCAN PBE_64 rehearsal'
    """
    mark, _, name = engine.rpartition(":")
    for scheme in (MP_GGA, MP24):
        if name == scheme.engine:
            if not mark:
                return scheme
            calculator = f"{scheme.calculator} {mark}"
            return replace(scheme, engine=engine, calculator=calculator, rehearsal=True)
    raise ValueError(
        f"no scheme of VASP energies belongs to the engine {engine}; there are those "
        f"of {MP_GGA.engine} and {MP24.engine}"
    )


_TOLERANCE = 1e-6  # of the statistics, as pymatgen-io-validation compares them
# Lines on copyright and digest came with later deliveries of the same potentials.
_NOT_CONTENTS = frozenset({"copyr", "sha256"})


def pseudopotential_problem(
    potcar_spec: Sequence[PotcarRow],
    elements: Iterable[str],
    *,
    release: str,
    names_only: bool = False,
) -> str | None:
    """
    Say why pseudopotentials are not those of the MP24 input sets, if they are not.

    A stand-in has no titles: there ``names_only`` compares the names.
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


def contents_known(potcar_spec: Sequence[PotcarRow]) -> bool:
    """Whether a calculation brings the statistics of every pseudopotential."""
    return bool(potcar_spec) and all(_statistics(spec) for spec in potcar_spec)


def symbol_of(title: str) -> str:
    """Read the symbol in the title of a pseudopotential: Mn_pv in PAW_PBE Mn_pv."""
    words = title.split()
    return words[min(1, len(words) - 1)] if words else ""


def element_of(title: str) -> str:
    """Read the element in the title of a pseudopotential."""
    return symbol_of(title).partition("_")[0]


def _statistics(spec: PotcarRow) -> PotcarStatistics | None:
    found = spec.get("summary_stats")
    return found if found and {"keywords", "stats"} <= set(found) else None


def _is_of_release(spec: PotcarRow, release: str) -> bool:
    from pymatgen.io.vasp.inputs import PotcarSingle  # noqa: PLC0415 - takes 2.5 s

    known = _release(release).get(str(spec.get("titel")).replace(" ", ""), ())
    own = _statistics(spec)
    if own is None:
        return bool(known)
    return any(
        PotcarSingle.compare_potcar_stats(
            dict(_contents(one)), dict(_contents(own)), tolerance=_TOLERANCE
        )
        for one in known
    )


def _contents(statistics: PotcarStatistics) -> PotcarStatistics:
    keywords = statistics["keywords"]
    header = sorted(set(keywords["header"]) - _NOT_CONTENTS)
    return {**statistics, "keywords": {**keywords, "header": header}}


@lru_cache(maxsize=1)
def _symbols() -> dict[str, str]:
    """Element → symbol of its pseudopotential in the MP24 sets."""
    from pymatgen.io.vasp.sets import MP24RelaxSet  # noqa: PLC0415 - takes 2.5 s

    return dict(MP24RelaxSet.CONFIG["POTCAR"])


@lru_cache(maxsize=1)
def _release(name: str) -> dict[str, Sequence[PotcarStatistics]]:
    """Title without spaces → statistics, from the installed pymatgen."""
    packed = files("pymatgen.io.vasp") / "potcar-summary-stats.json.bz2"
    found: dict[str, Sequence[PotcarStatistics]]
    found = json.loads(bz2.decompress(packed.read_bytes()))[name]
    return found
