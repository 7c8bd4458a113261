"""Members from an earlier campaign: chosen by its last build, and then for good."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pymatgen.core import Structure

from hts_battery.errors import ConfigurationError, QueryError, SpecError
from hts_battery.flows.engines.registry import ENGINES, engine
from hts_battery.flows.recipes.references import structure_digest
from hts_battery.flows.recipes.registry import campaign_recipe
from hts_battery.query.screening_database import ScreeningDatabase
from hts_battery.query.structures import structures
from hts_battery.schemas.candidate import CandidateDoc, StartingCell
from hts_battery.schemas.files import line_of, load_yaml, spec_error
from hts_battery.schemas.structure import OrderedCell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec, SourceSpec
    from hts_battery.schemas.rows import SummaryRow

    Refuse = Callable[[str, str], SpecError]
    """Message and field → an error that knows file and line."""

_AT_ONCE = 100


def resolved(campaign: Campaign, stores: Stores | None) -> Campaign:
    """
    Return a campaign with its members, where they come from an earlier one.

    The choice is made once, from the build that stands there then, and stored with the
    campaign: what the file chose when it was first run or submitted are its members,
    whatever is built later. A changed ``source`` is another choice. Campaigns of a
    composition space are returned as they are.

    Raises
    ------
    SpecError
        If there is no such campaign, nothing of it is built, the filter cannot be read
        or nothing fulfils it: file, line, field and what to do.
    """
    source = campaign.spec.source
    if source is None or campaign.chosen is not None:
        return campaign
    if stores is None:
        raise _refused(
            campaign,
            f"there is no database yet in which {source.campaign} could be: run that "
            "campaign first",
            "source.campaign",
        )
    known = stores.campaigns.query_one({"name": campaign.spec.name})
    if known is not None and known.get("source_build") and _is_same(known, campaign):
        members = tuple(_stored_members(campaign.spec.name, stores))
        return replace(campaign, chosen=members, build=known["source_build"])
    return _chosen(campaign, source, stores)


def _is_same(known: Mapping[str, object], campaign: Campaign) -> bool:
    """Say whether a stored campaign has chosen by the same words."""
    before = known.get("spec")
    now = campaign.spec.model_dump(mode="json")
    return isinstance(before, dict) and all(
        before.get(name) == now[name] for name in ("source", "recipe")
    )


def _stored_members(name: str, stores: Stores) -> Iterator[tuple[int, CandidateDoc]]:
    """Yield what a campaign chose, in its order."""
    members = list(
        stores.members.query(
            {"campaign": name}, properties=["candidate_id", "space_index"]
        )
    )
    places = {one["candidate_id"]: int(one["space_index"]) for one in members}
    docs = read_candidates(sorted(places, key=places.__getitem__), stores, start=name)
    for candidate_id, candidate in docs.items():
        yield places[candidate_id], candidate


def read_candidates(
    ids: Sequence[str], stores: Stores, *, start: str | None = None
) -> dict[str, CandidateDoc]:
    """
    Read candidates by their ids, in that order; what is gone is left out.

    ``start``: campaign with whose relaxed cells they come, where its recipe needs them.
    """
    found: dict[str, CandidateDoc] = {}
    for first in range(0, len(ids), _AT_ONCE):
        wanted = {"candidate_id": {"$in": list(ids[first : first + _AT_ONCE])}}
        cells: dict[str, object] = {}
        if start is not None:
            of_it = {"campaign": start, **wanted}
            for one in stores.members.query(of_it, ["candidate_id", "start"]):
                cells[one["candidate_id"]] = one.get("start")
        for doc in stores.candidates.query(wanted):
            doc.pop("_id", None)
            name = doc["candidate_id"]
            found[name] = CandidateDoc.model_validate({**doc, "start": cells.get(name)})
    return {name: found[name] for name in ids if name in found}


def _chosen(campaign: Campaign, source: SourceSpec, stores: Stores) -> Campaign:
    """Choose members from the build that stands there now."""
    run_id = _build_of(campaign, source, stores)
    recipe = campaign_recipe(campaign.spec.recipe)
    rows = _rows(campaign, source, stores, once=recipe.starts_from_cell)
    docs = read_candidates([row["candidate_id"] for row in rows], stores)
    members = [docs[row["candidate_id"]] for row in rows if row["candidate_id"] in docs]
    if recipe.starts_from_cell:
        try:
            cells = starting_cells(rows, stores)
        except QueryError as err:
            raise _refused(
                campaign, f"{err}: run the campaign again", "source.campaign"
            ) from err
        members = [
            one.model_copy(update={"start": cells[one.candidate_id]}) for one in members
        ]
    return replace(campaign, chosen=tuple(enumerate(members)), build=run_id)


def _build_of(campaign: Campaign, source: SourceSpec, stores: Stores) -> str:
    """Return the newest run of the builders; refuse where nothing is built."""
    names = sorted(map(str, stores.campaigns.distinct("name")))
    if source.campaign not in names:
        near = get_close_matches(source.campaign, names, n=1)
        known = f"the nearest is {near[0]}" if near else f"choose of {', '.join(names)}"
        raise _refused(
            campaign,
            f"there is no campaign {source.campaign} in the database; "
            f"{known if names else 'there is none at all: run one of a space first'}",
            "source.campaign",
        )
    builds = stores.builds.query({"state": "finished"}, sort={"run_id": -1}, limit=1)
    newest = next(iter(builds), None)
    built = ScreeningDatabase(stores).count(campaign=source.campaign)
    if newest is None or not built:
        raise _refused(
            campaign,
            f"no build of {source.campaign} is in the database (any more): `hts build "
            "all` makes one of what is computed",
            "source.campaign",
        )
    return str(newest["run_id"])


def _rows(
    campaign: Campaign, source: SourceSpec, stores: Stores, *, once: bool
) -> list[SummaryRow]:
    """Return the summaries that are chosen; ``once``: a shared cell comes once."""
    try:
        found: Iterable[SummaryRow] = ScreeningDatabase(stores).find(
            source.filter or None, campaign=source.campaign, sort=source.order or None
        )
        if once:
            found = (row for row in found if row["same_cell_as"] is None)
        rows = list(islice(found, source.limit))
    except QueryError as err:
        field = "source.filter" if source.filter else "source.order"
        raise _refused(campaign, str(err), field) from err
    if not rows:
        raise _refused(
            campaign,
            f"no candidate of {source.campaign} fulfils {source.filter or 'it'}: loosen"
            " the filter",
            "source.filter",
        )
    return rows


def starting_cells(
    rows: Sequence[SummaryRow], stores: Stores
) -> dict[str, StartingCell]:
    """
    Return the relaxed lowest cell of each summary, by candidate.

    Lattice and positions are those of the relaxation, species and starting moments
    those of the ordered cell. QueryError if either is no longer in the database.
    """
    found = {}
    for row, relaxed in structures(stores, rows):
        ordered, engine = _ordered_cell(row, stores)
        start = ordered.to_structure()
        symbols = [site.specie.symbol for site in start]
        if symbols != [site.specie.symbol for site in relaxed]:
            raise QueryError(f"{row['formula']}: its relaxed cell is of other atoms")
        cell = Structure(
            relaxed.lattice,
            start.species,
            relaxed.frac_coords,
            site_properties=start.site_properties,
        )
        found[row["candidate_id"]] = StartingCell(
            campaign=row["campaign"],
            entry_id=row["entry_id"],
            ordering_id=ordered.ordering_id,
            engine=engine,
            calculator=row["calculator"],
            energy_per_atom=row["energy_per_atom"],
            digest=_digest(cell, engine),
            structure=cell.as_dict(),
        )
    return found


def _ordered_cell(row: SummaryRow, stores: Stores) -> tuple[OrderedCell, str]:
    """Find the ordered cell that an entry's calculation began with, and its engine."""
    task = stores.tasks.query_one({"uuid": row["entry_id"]}, properties=["metadata"])
    metadata = {} if task is None else task["metadata"]
    order = stores.tasks.query_one(
        {"uuid": metadata.get("order_uuid")}, properties=["output"]
    )
    for cell in [] if order is None else order["output"]:
        if cell["ordering_id"] == metadata["ordering_id"]:
            ordered = OrderedCell.model_validate(cell)
            return ordered, str(metadata["calculation"]["engine"])
    raise QueryError(
        f"{row['formula']} ({row['candidate_id']}): the job that ordered its cell "
        "is no longer in the database"
    )


def _digest(cell: Structure, engine: str) -> str:
    """Digest what decides the energies that follow: the cell, and who relaxed it."""
    return sha256(f"{structure_digest(cell)} {engine}".encode()).hexdigest()[:16]


def _refused(campaign: Campaign, message: str, field: str) -> SpecError:
    """Return an error that names the line of the campaign file."""
    _, lines = load_yaml(campaign.path)
    return SpecError(
        message, file=str(campaign.path), line=line_of(field, lines), field=field
    )


def checked_recipe(spec: CampaignSpec, refuse: Refuse) -> CampaignSpec:
    """
    Return a campaign with the options of its recipe complete.

    ``refuse``: makes errors that know their line, of a message and a field. SpecError
    if there is no such recipe, it cannot be computed so, or an option is wrong.
    """
    place = "recipe"
    try:
        recipe = campaign_recipe(spec.recipe)
        place = "engine"
        chosen = engine(spec.engine)
    except ConfigurationError as err:
        raise refuse(str(err), place) from err
    if recipe.starts_from_cell and spec.source is None:
        raise refuse(
            f"{recipe.name} starts from relaxed cells: name the campaign that has them "
            "as `source: {campaign: NAME, limit: 3}` instead of space and selection",
            "recipe",
        )
    for name in ("prerelax", "gate"):
        if not spec.screens and getattr(spec, name) is not None:
            raise refuse(f"recipe {recipe.name} has none: leave it out", name)
    if problem := recipe.refusal(chosen, ENGINES.values()):
        raise refuse(problem, "engine")
    try:
        options = recipe.options.model_validate(spec.recipe_options)
    except ValidationError as err:
        found = spec_error(err, prefix="recipe_options", shape=recipe.options)
        raise refuse(found.message, str(found.field)) from err
    plain = options.model_dump(mode="json")
    return spec.model_copy(update={"recipe_options": plain})
