from __future__ import annotations

from hts_battery.schemas.relaxed import RelaxationThresholds, Verdict


def test_thresholds_are_ordered() -> None:
    limits = RelaxationThresholds()
    assert limits.displacement_kept < limits.displacement_transformed
    assert limits.strain_kept < limits.strain_transformed
    assert limits.contacts_kept > limits.contacts_transformed
    assert limits.coordination_kept < limits.coordination_transformed
    # Less than one electron in either direction.
    assert limits.moment_lost_least < 1
    assert limits.moment_gained < 1
    assert [str(v) for v in Verdict] == [
        "kept",
        "distorted",
        "charge transfer",
        "transformed",
    ]
