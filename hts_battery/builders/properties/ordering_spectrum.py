"""What the spread of a candidate's random orderings says of disorder, as properties."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.property import TEMPERATURE
from hts_battery.schemas.structure import OrderingMethod
from hts_battery.schemas.thermo import OrderingKind
from hts_battery.thermo.ordering_spectrum import (
    CONFIDENCE,
    compensation_temperature,
    sample_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.schemas.build import OrderingEnergy
    from hts_battery.thermo.ordering_spectrum import OrderingSpectrum, SpectrumEstimate

_ABILITY, _DESCRIPTOR, _MEAN = (
    "entropy_forming_ability",
    "disordered_enthalpy_entropy",
    "e_hull_boltzmann",
)
_SMALL = (
    "the cells are too small for a random solution: their orderings are compounds, and "
    "draws repeat; at least 20 cations a cell, `atoms: 40`, are a sample"
)


class OrderingSpectrumBuilder(PropertyBuilder):
    """Measure the spread of what a campaign drew at random, and of nothing else."""

    name = "ordering_spectrum"
    names = (_ABILITY, _DESCRIPTOR, _MEAN)
    reads = ("entries", "thermo")
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield the numbers of one random sample, or why there are none."""
        kelvins = sorted({record.temperature for record in found.stabilities})
        blank = [
            *map(Value, (_ABILITY, _DESCRIPTOR)),
            *(Value(_MEAN, conditions={TEMPERATURE: one}) for one in kelvins),
        ]
        record = next((one for one in found.stabilities if one.result), None)
        if record is None or record.result is None:
            errors = [one.error for one in found.stabilities if one.error]
            failure = errors[0] if errors else "no stability of it is known"
            yield from (replace(one, reason=failure, n=0) for one in blank)
            return
        mine = [
            one for one in record.orderings if one.source in (None, self.campaign.name)
        ]
        spectrum, reason = _sample(mine, found)
        drawn = [one for one in mine if one.method == OrderingMethod.RANDOM]
        if spectrum is None:
            yield from (replace(one, reason=reason, n=len(drawn)) for one in blank)
            return
        yield from self._measured(spectrum, record.result.hull_energy, kelvins, drawn)

    def _measured(
        self,
        spectrum: OrderingSpectrum,
        hull_energy: float,
        kelvins: Sequence[float],
        drawn: Sequence[OrderingEnergy],
    ) -> Iterator[Value]:
        base = Value(
            _ABILITY,
            n=len(drawn),
            method=OrderingMethod.RANDOM,
            inputs=tuple(one.entry_id for one in drawn),
            notes=self._notes(len(drawn)),
        )
        yield _estimated(base, spectrum.entropy_forming_ability)
        found = spectrum.disordered_enthalpy_entropy(hull_energy)
        yield _estimated(replace(base, name=_DESCRIPTOR), found)
        for kelvin in kelvins:
            mean = spectrum.boltzmann_mean(kelvin)
            yield replace(
                base,
                name=_MEAN,
                conditions={TEMPERATURE: kelvin},
                value=mean.value - hull_energy,
                uncertainty=mean.standard_error,
                notes=(
                    *base.notes,
                    f"carried by {mean.effective_orderings:.1f} of {len(drawn)} cells",
                ),
            )

    def _notes(self, used: int) -> tuple[str, ...]:
        """Say where fewer orderings are used than were asked for."""
        asked = self.campaign.structure.n_orderings.get(OrderingMethod.RANDOM, 0)
        if used >= asked:
            return ()
        note = (
            f"{used} of {asked} orderings asked for are used: the rest failed, is not "
            "computed, or repeats another"
        )
        return (note,)


def _sample(
    orderings: Sequence[OrderingEnergy], found: CandidateInputs
) -> tuple[OrderingSpectrum | None, str | None]:
    """Take the random sample of one campaign, of cells of one size."""
    drawn = {one.entry_id for one in orderings if one.method == OrderingMethod.RANDOM}
    sizes = {
        entry.energy.n_atoms
        for entry in found.entries
        if entry.entry_id in drawn and entry.energy
    }
    if any(one.kind is OrderingKind.SMALL_CELL for one in orderings):
        return None, _SMALL
    if len(sizes) > 1:
        named = ", ".join(map(str, sorted(sizes)))
        return None, f"cells of {named} atoms: a sample is of one size"
    return sample_of(
        ((one.method, one.energy_per_atom) for one in orderings),
        atoms=sizes.pop() if sizes else None,
    )


def _estimated(base: Value, found: SpectrumEstimate) -> Value:
    """Write down an estimate, or why there is none."""
    if found.value is None:
        return replace(base, reason=found.reason)
    notes = list(base.notes)
    if found.interval is not None:
        low, high = found.interval
        notes.append(f"{CONFIDENCE:.0%} by the draws: {low:.3g} to {high:.3g}")
    if base.name == _DESCRIPTOR:
        kelvin = compensation_temperature(found.value)
        notes.append(f"1/(kB times it) is {kelvin:.0f} K: a rank, no temperature")
    return replace(
        base, value=found.value, uncertainty=found.standard_error, notes=tuple(notes)
    )
