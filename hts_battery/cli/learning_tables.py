"""Tables that rules and formulas are learned from, and what formulas are applied to."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from hts_battery.compositions import CompositionSpace
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import Candidate

_SPACES = (".yaml", ".yml")
_EWALD = "ewald_energy"
_LABELS = ("calculator", "hull_version")


def read_csv(file: Path) -> pd.DataFrame:
    """Read a CSV file; what cannot be read is said in a line."""
    import pandas as pd

    try:
        return pd.read_csv(file)
    except (OSError, ValueError) as err:
        raise ConfigurationError(f"{file} cannot be read as a table: {err}") from err


def learning_table(source: str, *, temperature: float | None = None) -> pd.DataFrame:
    """
    Read a CSV file, or the descriptors and energies of a campaign that was built.

    ``temperature``: of a campaign, in K; its highest if none. A campaign has the
    columns ``formula``, ``metals`` (their set), ``energy`` (E_hull at the temperature,
    eV/atom) and every descriptor.
    """
    if Path(source).suffix.lower() in _SPACES:
        raise ConfigurationError(
            f"{source} has no energies: give a CSV file or a campaign that was built"
        )
    if Path(source).is_file() or Path(source).suffix:
        return read_csv(Path(source))
    return campaign_table(source, temperature=temperature)


def campaign_table(
    campaign: str, *, temperature: float | None = None, needs_energy: bool = True
) -> pd.DataFrame:
    """
    Read the candidates of a campaign: descriptors, energies, what labels mean.

    A candidate whose cell another one has, too, has no energy of its own.
    """
    from hts_battery.cli.opening import opened_stores
    from hts_battery.compositions.candidate_descriptors import DESCRIPTORS
    from hts_battery.query import ScreeningDatabase

    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        known = screening.temperatures()
        if not known:
            raise ConfigurationError("nothing has been built: run `hts build all`")
        kelvin = max(known) if temperature is None else temperature
        if kelvin not in known:
            listed = ", ".join(f"{one:g}" for one in known)
            raise ConfigurationError(
                f"no energies at {kelvin:g} K were built: there are {listed} K"
            )
        energy = f"e_hull_{kelvin:g}".replace(".", "_")
        fields = ["candidate_id", "formula", "species", "n_metals", energy]
        fields += ["same_cell_as", *_LABELS, *DESCRIPTORS, _EWALD]
        frame = screening.to_frame(campaign=campaign, fields=fields)
        settings = _structure_settings(stores, campaign)
    if frame.empty and needs_energy:
        raise ConfigurationError(
            f"no candidate of campaign {campaign} was assessed: run `hts build all`"
        )
    frame = frame.rename(columns={energy: "energy"})
    frame["energy"] = frame.energy.astype(float).where(frame.same_cell_as.isna())
    frame["structure_settings"] = settings
    frame["metals"] = [_metals(one) for one in frame.species]
    return frame.drop(columns="same_cell_as")


def _metals(species: Sequence[str]) -> str:
    """Name the set of metals of a candidate."""
    from hts_battery.compositions.descriptors import is_metal
    from hts_battery.schemas.species import parse_species

    found = {parse_species(one).element for one in species if is_metal(one)}
    return "-".join(sorted(found))


def _structure_settings(stores: Stores, campaign: str) -> str | None:
    """Write how the cells of a campaign are ordered and relaxed, in one text."""
    doc = stores.campaigns.query_one({"name": campaign}, ["spec"])
    spec: Mapping[str, object] = (doc or {}).get("spec") or {}
    found = {name: spec.get(name) for name in ("structure", "relaxation")}
    return json.dumps(found, sort_keys=True, default=str) if doc else None


def members_table(
    space: CompositionSpace, *, limit: int, seed: int | None
) -> pd.DataFrame:
    """
    Describe members of a space: the first ones, or a random sample.

    ``limit``: how many. ``seed``: of the sample; the first ones if none.
    """
    members: Sequence[Candidate]
    if seed is None:
        members = list(islice(iter(space), limit))
    else:
        indices = space.sample_indices(min(limit, space.count), seed=seed)
        members = [space[one] for one in indices]
    return described_members(members)


def described_members(members: Sequence[Candidate]) -> pd.DataFrame:
    """Describe candidates by their chosen species; what is not known is NaN."""
    import pandas as pd

    from hts_battery.compositions.candidate_descriptors import (
        DESCRIPTORS,
        candidate_descriptors,
    )
    from hts_battery.compositions.descriptors import species_amounts

    rows = []
    for one in members:
        found = candidate_descriptors(species_amounts(one.assignment))
        numbers = {k: v for k, v in found.items() if not isinstance(v, str)}
        known = {"candidate_id": one.candidate_id, "formula": one.formula}
        rows.append(known | numbers)
    columns = ["candidate_id", "formula", *DESCRIPTORS]
    return pd.DataFrame(rows, columns=columns)


def table_to_score(source: str, *, limit: int, seed: int | None) -> pd.DataFrame:
    """Read what a formula is applied to: CSV file, space or campaign file, campaign."""
    if Path(source).suffix.lower() in _SPACES:
        from hts_battery.compositions import load_space

        return members_table(load_space(Path(source)), limit=limit, seed=seed)
    if Path(source).is_file() or Path(source).suffix:
        return read_csv(Path(source))
    return campaign_table(source, needs_energy=False)
