"""Summaries as flat rows: what tables, CSV files and frames show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MEV_PER_EV = 1000.0


def decomposition_text(phases: Sequence[Mapping[str, Any]]) -> str:
    """
    Write a decomposition in one line, atomic fractions first.

    Examples
    --------
    >>> decomposition_text([{"formula": "LiF", "amount": 0.25},
    ...                     {"formula": "TiO2", "amount": 0.75}])
    '0.250 LiF + 0.750 TiO2'
    """
    return " + ".join(f"{phase['amount']:.3f} {phase['formula']}" for phase in phases)


def campaigns_text(numbers: Mapping[str, int]) -> str:
    """
    Write whose orderings were used, in one line.

    Examples
    --------
    >>> campaigns_text({"second": 2, "first": 1})
    '1 of first, 2 of second'
    """
    return ", ".join(f"{n} of {name}" for name, n in sorted(numbers.items()))


def summary_rows(summaries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Flatten summaries into rows of plain values.

    Parameters
    ----------
    summaries
        Documents of the ``summary`` collection.

    Returns
    -------
    list[dict]
        One row each. ``energy_above_hull``, ``energy_above_hull_<T>K`` (lowest
        ordering), ``energy_above_hull_upper_<T>K`` (mean of random orderings),
        ``uncertainty``, ``ordering_spread`` and how much E_hull may fall
        (``hull_depth_risk``, ``hull_depth_risk_reported``) in eV/atom, ``entropy`` in
        eV/K per atom, ``entropy_<sublattice>`` in eV/K per formula unit,
        ``mixing_temperature`` in K.
    """
    rows = []
    for doc in summaries:
        row = {
            name: doc[name]
            for name in (
                "formula",
                "candidate_id",
                "campaign",
                "family",
                "chemical_system",
                "n_metals",
                "engine",
                "calculator",
                "energy_per_atom",
                "energy_above_hull",
            )
        }
        row |= {
            f"energy_above_hull_{key}": value
            for key, value in doc["energy_above_hull_at"].items()
            if key != "0K"
        }
        row |= {
            f"energy_above_hull_upper_{key}": value
            for key, value in doc["energy_above_hull_upper_at"].items()
        }
        row |= {f"label_{key}": value for key, value in doc["label_at"].items()}
        row |= {
            "uncertainty": doc["uncertainty"],
            "ordering_spread": doc["ordering_spread"],
            "hull_depth_risk": doc.get("hull_depth_risk"),
            "hull_depth_risk_reported": doc.get("hull_depth_risk_reported"),
            "hull_depth_reason": doc.get("hull_depth_reason"),
            "entropy": doc["entropy"],
        }
        row |= {
            f"entropy_{name}": value
            for name, value in doc["entropy_by_sublattice"].items()
        }
        row |= {
            "mixing_temperature": doc["mixing_temperature"],
            "decomposition": decomposition_text(doc["decomposition"]),
            "n_orderings": doc["n_orderings"],
            "n_random_orderings": doc["n_random_orderings"],
            "orderings_by_campaign": campaigns_text(
                doc.get("orderings_by_campaign") or {}
            ),
            "deviation": " ".join(f"{el}{n}" for el, n in doc["deviation"].items()),
            "n_references": doc["n_references"],
            "hull_version": doc["hull_version"],
            "flags": "; ".join(doc["flags"]),
        }
        rows.append(row)
    return rows
