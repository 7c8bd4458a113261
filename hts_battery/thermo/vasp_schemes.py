"""The kinds of VASP energies that hulls are made of, and what each asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
        """
        Return a run type in emmet-core's spelling, none where it does not belong.

        Examples
        --------
        >>> MP24.run_type("R2SCAN"), MP24.run_type("GGA+U")
        ('r2SCAN', None)
        """
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
    """
    Say whether an engine, or the one that it stands in for, is VASP.

    Examples
    --------
    >>> is_vasp("rehearsal:vasp-mp24"), is_vasp("ionic")
    (True, False)
    """
    return engine.rpartition(":")[2] in {MP_GGA.engine, MP24.engine}


def vasp_scheme(engine: str) -> VaspScheme:
    """
    Return the scheme of an engine, or of a stand-in for it.

    Raises
    ------
    ValueError
        If it is no engine of VASP.

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
