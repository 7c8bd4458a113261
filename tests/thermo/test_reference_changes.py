from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.schemas.formula import atomic_fractions
from hts_battery.thermo import Hull, StoredAnswer, reference_changes
from hts_battery.thermo.reference_changes import ReferenceChanges

ELEMENTS = ("Li", "Mn", "O")
PURE = {element: (element, 0.0) for element in ELEMENTS}
OXIDES = PURE | {
    "Li2O": ("Li2O", -2.0),
    "MnO": ("MnO", -1.9),
    "LiMnO2": ("LiMnO2", -2.1),
    "high": ("LiMnO2", -1.0),
}


def hull_of(phases: dict[str, tuple[str, float]]) -> Hull:
    return Hull(
        [formula for formula, _ in phases.values()],
        [energy for _, energy in phases.values()],
        ids=list(phases),
    )


def answer(hull: Hull, formula: str, *, exclude: tuple[str, ...] = ()) -> StoredAnswer:
    (found,) = hull.decompositions([formula], exclude=[exclude])
    return StoredAnswer(
        formula,
        None if found is None else found.chemical_potentials,
        () if found is None else tuple(found.phases),
        exclude,
    )


def affected(
    before: dict[str, tuple[str, float]],
    after: dict[str, tuple[str, float]],
    formula: str,
    *,
    exclude: tuple[str, ...] = (),
) -> bool:
    stored = answer(hull_of(before), formula, exclude=exclude)
    return bool(reference_changes(before, after).affected([stored])[0])


def test_only_what_lies_below_the_plane_or_took_part_matters() -> None:
    before = OXIDES
    assert affected(before, before | {"new": ("LiMnO2", -2.2)}, "LiMnO2")
    assert not affected(before, before | {"new": ("LiMnO2", -2.0)}, "LiMnO2")
    assert not affected(before, before | {"new": ("LiFeO2", -9.0)}, "LiMnO2")
    without = {name: phase for name, phase in before.items() if name != "LiMnO2"}
    assert affected(before, without, "LiMnO2")
    assert not affected(before, without, "Li2O")
    unused = {name: phase for name, phase in before.items() if name != "high"}
    assert not affected(before, unused, "LiMnO2")


def test_raised_lowered_and_rewritten_references() -> None:
    raised = OXIDES | {"LiMnO2": ("LiMnO2", -2.05)}
    assert affected(OXIDES, raised, "LiMnO2")
    assert affected(OXIDES, OXIDES | {"high": ("LiMnO2", -2.3)}, "LiMnO2")
    assert not affected(OXIDES, OXIDES | {"high": ("LiMnO2", -2.0)}, "LiMnO2")
    assert affected(OXIDES, OXIDES | {"LiMnO2": ("LiMnO3", -2.1)}, "LiMnO2")


def test_excluded_references_do_not_matter() -> None:
    lower = OXIDES | {"LiMnO2": ("LiMnO2", -2.5)}
    assert not affected(OXIDES, lower, "LiMnO2", exclude=("LiMnO2", "high"))
    assert affected(OXIDES, lower, "LiMnO2")


def test_missing_answers_wait_for_a_reference_inside() -> None:
    assert affected(OXIDES, OXIDES | {"Fe": ("Fe", 0.0)}, "LiFeO2")
    assert not affected(OXIDES, OXIDES | {"Nb": ("Nb", 0.0)}, "LiFeO2")
    without = {name: phase for name, phase in OXIDES.items() if name != "MnO"}
    assert not affected(OXIDES, without, "LiFeO2")


def test_nothing_changed_or_nothing_asked() -> None:
    same = reference_changes(OXIDES, dict(OXIDES))
    assert not same
    assert not same.affected([answer(hull_of(OXIDES), "LiMnO2")]).any()
    change = reference_changes({}, OXIDES)
    assert change
    assert change.affected([]).shape == (0,)
    assert reference_changes(hull_of(OXIDES).references, OXIDES) == same


def test_a_tie_leaves_the_answer() -> None:
    # Exactly on the plane: the stored mixture costs as little as the new phase.
    tied = OXIDES | {"twin": ("LiMnO2", -2.1)}
    assert not affected(OXIDES, tied, "LiMnO2")
    assert not affected(OXIDES, tied, "Li3MnO3")


def optimal(stored: StoredAnswer, phases: dict[str, tuple[str, float]]) -> bool:
    """Whether mixture and potentials are still an optimal pair."""
    allowed = {name: p for name, p in phases.items() if name not in stored.exclude}
    assert stored.chemical_potentials is not None
    if not set(stored.phases) <= set(allowed):
        return False
    for formula, energy in allowed.values():
        parts = atomic_fractions(formula)
        if parts.keys() <= stored.chemical_potentials.keys():
            plane = sum(stored.chemical_potentials[el] * x for el, x in parts.items())
            if energy < plane - 1e-10:
                return False
    return True


amounts = st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any)
compounds = st.dictionaries(
    st.integers(0, 9), st.tuples(amounts, st.integers(-12, 3)), max_size=9
)


def named(
    found: dict[int, tuple[list[int], int]],
) -> dict[str, tuple[str, float]]:
    return PURE | {
        str(number): (
            "".join(f"{el}{n}" for el, n in zip(ELEMENTS, counts, strict=True) if n),
            energy / 4,
        )
        for number, (counts, energy) in found.items()
    }


@given(compounds, compounds, st.lists(amounts, min_size=1, max_size=6))
@settings(deadline=None, max_examples=80)
def test_exactly_the_answers_that_fall_are_named(
    first: dict[int, tuple[list[int], int]],
    second: dict[int, tuple[list[int], int]],
    targets: list[list[int]],
) -> None:
    # Few distinct energies and amounts: ties and degenerate potentials are common.
    before, after = named(first), named(second)
    old, new = hull_of(before), hull_of(after)
    names = [named({0: (counts, 0)})["0"][0] for counts in targets]
    stored = [answer(old, name) for name in names]
    changes = reference_changes(before, after)
    flags = changes.affected(stored)
    energies = new.lower_energies(names) - old.lower_energies(names)
    for flag, one, shift in zip(flags, stored, energies, strict=True):
        gone = any(before[name] != after.get(name) for name in one.phases)
        assert bool(flag) == (gone or not optimal(one, after))
        if not flag:
            assert shift == pytest.approx(0.0, abs=1e-9)


def test_many_answers_and_changes_cost_little() -> None:
    stored = [answer(hull_of(OXIDES), "LiMnO2")] * 2000
    changes = ReferenceChanges(
        added={str(i): ("LiMnO2", -2.0) for i in range(50)}, removed=frozenset()
    )
    assert not np.any(changes.affected(stored))
