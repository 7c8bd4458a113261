"""
Published errors of the energies that engines give, as standard deviations.

What enters is the error of E_hull: of a reaction between chemically close compounds,
in which much of the error of a formation energy from the elements cancels.
"""

from __future__ import annotations

from math import pi, sqrt

from hts_battery.schemas.uncertainty import CalculatorError, ErrorTerm

SD_PER_MAE = sqrt(pi / 2)
"""Standard deviation over mean absolute error of a normal distribution."""

_PBE_U = ErrorTerm(
    value=0.024,
    source="10.1103/PhysRevB.85.155208",
    meaning="PBE+U: standard deviation 24 meV/atom of 135 reaction energies of ternary "
    "oxides from binary oxides against experiment",
)
_CHGNET = ErrorTerm(
    value=round(0.030 * SD_PER_MAE, 4),
    source="10.1038/s42256-023-00716-3",
    meaning="CHGNet: mean absolute error 30 meV/atom of the test set against PBE+U, "
    "times sqrt(pi/2) for a standard deviation; of total energies, so what cancels "
    "between a candidate and its products is not taken off",
)

PBE_U_ERROR = CalculatorError(terms=(_PBE_U,))
"""Of the functional of the Materials Project, whoever computes with it."""
CHGNET_ERROR = CalculatorError(terms=(_CHGNET, _PBE_U))
"""Of the potential and of the functional whose energies it learned."""
R2SCAN_ERROR = CalculatorError(
    reason="no error of r2SCAN reaction energies between oxides is known here, only of "
    "formation energies from the elements; give stability.calculator_error"
)
LCAO_ERROR = CalculatorError(
    reason="atomic orbitals give a first geometry, and the error of their energies was "
    "not measured; give stability.calculator_error"
)
REHEARSAL_ERROR = CalculatorError(
    reason="a stand-in for rehearsals: its energies say nothing of a material"
)
IONIC_ERROR = CalculatorError(
    reason="a potential for rehearsals, whose error nobody has measured; give "
    "stability.calculator_error"
)
