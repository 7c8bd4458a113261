"""A campaign file: read, checked to the last member, refused with file and line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hts_battery.compositions import load_space, selected
from hts_battery.compositions.filters import load_filters
from hts_battery.compositions.formula_list import (
    ListedFormula,
    ListedMembers,
    listed_members,
    read_formula_list,
)
from hts_battery.errors import (
    BadFormulasError,
    ConfigurationError,
    HTSBatteryError,
    OrderingError,
    SpecError,
)
from hts_battery.schemas.campaign import CampaignSpec, candidate_key
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.files import line_of, load_mapping, spec_error
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.representation import represent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hts_battery.compositions import CompositionSpace
    from hts_battery.compositions.filters import Filter, FilterReport
    from hts_battery.flows.engines.engine import Engine
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.files import Lines
    from hts_battery.schemas.space import Selection
    from hts_battery.structures.prototypes import Prototype


@dataclass(frozen=True)
class Campaign:
    """
    A campaign file that was read and found sound.

    ``spec``: what the file says. ``space``: the composition space it declares; none
    where its members come from an earlier campaign. ``filters``: rules that remove
    selected members. ``limit``: largest number of members; none takes all. For
    rehearsals. ``chosen``: members from an earlier campaign, once they are known (see
    :func:`hts_battery.campaign.source.resolved`); ``build``: the run of the builders
    that they were chosen by. ``lines``: where its fields stand. ``skip_bad``: whether
    formulas of its list that are no members are left out.
    """

    spec: CampaignSpec
    space: CompositionSpace | None
    path: Path
    filters: tuple[Filter, ...] = ()
    limit: int | None = None
    chosen: tuple[tuple[int, CandidateDoc], ...] | None = None
    build: str | None = None
    lines: Lines = field(default_factory=dict)
    skip_bad: bool = False

    def members(self) -> Iterator[tuple[int, CandidateDoc]]:
        """Yield the candidates to screen with their index in the space, lazily."""
        if self.chosen is not None:
            yield from islice(self.chosen, self.limit)
            return
        for index, candidate in self.kept():
            yield index, CandidateDoc.from_candidate(candidate)

    def kept(
        self, report: FilterReport | None = None
    ) -> Iterator[tuple[int, Candidate]]:
        """
        Yield the selected members that no filter removes.

        A sample holds as many as it asks for, as long as the space has them.

        ``report``: told what each filter removes, and which strata run out.
        """
        if self.chosen is not None:
            for index, document in self.members():
                yield index, document.to_candidate()
            return
        if self.space is None or self.spec.selection is None:
            raise ConfigurationError(
                f"{self.path}: its members come from an earlier campaign and are known "
                "once it was run or submitted; name the campaign of a space here"
            )
        kept = selected(
            self.space,
            self.spec.selection,
            self.filters,
            report,
            listed=self.listed.indices,
        )
        yield from islice(kept, self.limit)

    @cached_property
    def listed(self) -> ListedMembers:
        """
        Members that a list of formulas names; none of another selection.

        BadFormulasError if it names others, all of them at once, unless they are left
        out.
        """
        selection = self.spec.selection
        if self.space is None or selection is None or selection.method != "formulas":
            return ListedMembers((), ())
        formulas = listed_formulas(selection, self.path, self.lines)
        place = "selection.file" if selection.file else "selection.formulas"
        found = listed_members(
            self.space, formulas, file=selection.file or self.path.name
        )
        if found.bad and not (self.skip_bad and found.indices):
            raise BadFormulasError(
                found.bad,
                total=len(formulas),
                file=str(self.path),
                line=line_of(place, self.lines),
                field=place,
            )
        return found

    def key(self, candidate: CandidateDoc) -> str:
        """Content key of the calculation of a candidate."""
        return candidate_key(candidate, self._calculation)

    @cached_property
    def _calculation(self) -> dict[str, object]:
        return self.spec.calculation


def listed_formulas(
    selection: Selection, path: Path, lines: Lines | None = None
) -> tuple[ListedFormula, ...]:
    """
    Return the formulas that a selection lists, from its file if it names one.

    ``path``: the campaign file, beside which that file stands. ``lines``: where the
    fields of the campaign file stand.
    """
    if selection.file is None:
        return tuple(
            ListedFormula(one, line_of(f"selection.formulas.{n}", lines) or 1)
            for n, one in enumerate(selection.formulas or ())
        )
    file = path.parent / Path(selection.file).expanduser()
    if not file.is_file():
        raise SpecError(
            f"there is no file {selection.file!r} in {path.parent.absolute()}: its "
            "name is relative to this file",
            file=str(path),
            line=line_of("selection.file", lines),
            field="selection.file",
        )
    return read_formula_list(file, column=selection.column)


def load_campaign(path: str | Path, *, skip_bad: bool = False) -> Campaign:
    """
    Read a campaign file and check it, members included.

    ``path``: A YAML file. ``skip_bad``: whether formulas that are no members are left
    out. Raises SpecError if anything in it is wrong: file, line and field, before
    anything is written.
    """
    campaign, members = load_members(path, skip_bad=skip_bad)
    deque(members, maxlen=0)
    return campaign


def load_members(
    path: str | Path, report: FilterReport | None = None, *, skip_bad: bool = False
) -> tuple[Campaign, Iterator[tuple[int, Candidate]]]:
    """
    Read a campaign file, and check its members while they are listed.

    ``path``: A YAML file. ``report``: told what each filter removes. ``skip_bad``:
    whether formulas that are no members are left out. Returns: the campaign and its
    members with their index in the space. The file is sound when the last of them has
    come. Raises SpecError if anything in it is wrong: file, line and field; what is
    wrong with a member while members are listed.
    """
    campaign, refuse = _read(path, skip_bad=skip_bad)
    engines = _engines(campaign.spec, refuse)
    before = engines.get("prerelax.engine")
    if before is not None and not before.prerelaxes:
        raise refuse(
            f"{before.name} cannot relax before the gate: its energies are checked and "
            "corrected by the builders, and the gate decides on the node; choose "
            "chgnet, a force field or gpaw-lcao",
            "prerelax.engine",
        )
    return campaign, _checked_members(campaign, engines, refuse, report)


def read_campaign(path: str | Path, *, skip_bad: bool = False) -> Campaign:
    """
    Read a campaign file without looking at its members.

    For questions about compositions alone: whether every member fits a cell takes
    milliseconds each, which adds up.

    ``path``: A YAML file. ``skip_bad``: whether formulas that are no members are left
    out when members are listed. Raises SpecError if the file is wrong: file, line and
    field.
    """
    return _read(path, skip_bad=skip_bad)[0]


def read_spec(path: str | Path) -> CampaignSpec:
    """
    Read what a campaign file says, without its composition space.

    ``path``: A YAML file. Raises SpecError if the file is wrong: file, line and field.
    """
    return _read_spec(path)[0]


def _read_spec(path: str | Path) -> tuple[CampaignSpec, Lines]:
    data, lines = load_mapping(path, "a campaign")
    try:
        spec = CampaignSpec.model_validate(data)
    except ValidationError as err:
        raise spec_error(err, file=str(path), lines=lines, shape=CampaignSpec) from err
    if spec.screens and not spec.recipe_options:
        return spec, lines
    from hts_battery.campaign.source import checked_recipe  # noqa: PLC0415 - jobflow takes a second

    return checked_recipe(spec, _refusal(path, lines)), lines


def _refusal(path: str | Path, lines: Lines) -> Callable[[str, str], SpecError]:
    """Return what makes errors that know their line, of a message and a field."""

    def refuse(message: str, field: str) -> SpecError:
        return SpecError(
            message, file=str(path), line=line_of(field, lines), field=field
        )

    return refuse


def _read(
    path: str | Path, *, skip_bad: bool
) -> tuple[Campaign, Callable[[str, str], SpecError]]:
    """Return the campaign of a file, and what makes errors that know their line."""
    spec, lines = _read_spec(path)
    refuse = _refusal(path, lines)
    if spec.space is None:
        return Campaign(spec, None, Path(path)), refuse
    try:
        space = load_space(path)
    except SpecError:
        raise
    except HTSBatteryError as err:
        raise refuse(str(err), "space") from err
    filters = load_filters(spec.filters, file=str(path), lines=lines, redox=space.redox)
    campaign = Campaign(
        spec, space, Path(path), filters, lines=lines, skip_bad=skip_bad
    )
    return campaign, refuse


def _engines(
    spec: CampaignSpec, refuse: Callable[[str, str], SpecError]
) -> dict[str, Engine]:
    """Look up the engines of a campaign by the field that names them."""
    from hts_battery.flows.engines.registry import engine  # noqa: PLC0415 - jobflow takes a second

    names = {"engine": spec.engine}
    if spec.prerelax is not None:
        names["prerelax.engine"] = spec.prerelax.engine
    found = {}
    for place, name in names.items():
        try:
            found[place] = engine(name)
        except HTSBatteryError as err:
            raise refuse(str(err), place) from err
    return found


def _checked_members(
    campaign: Campaign,
    engines: Mapping[str, Engine],
    refuse: Callable[[str, str], SpecError],
    report: FilterReport | None,
) -> Iterator[tuple[int, Candidate]]:
    """
    Yield members; refuse those that no space, no stated cell or no engine takes.

    One that stands twice is refused too, and no members at all.
    """
    if campaign.space is None:
        return
    structure = campaign.spec.structure
    prototype = _prototype(campaign.space, refuse)
    seen: set[int] = set()
    elements: set[str] = set()
    try:
        for index, candidate in campaign.kept(report):
            if index in seen:
                raise refuse(f"{candidate.formula} stands here twice", "selection")
            seen.add(index)
            elements.update(candidate.amounts)
            try:
                represent(
                    candidate.assignment,
                    prototype,
                    atoms=structure.atoms,
                    max_deviation=structure.max_deviation,
                )
            except OrderingError as err:
                raise refuse(f"{candidate.formula}: {err}", "structure.atoms") from err
            yield index, candidate
    except SpecError:
        raise
    except (HTSBatteryError, IndexError, ValueError) as err:
        # What the space itself answers to a selection that it cannot serve.
        raise refuse(str(err), "selection") from err
    if not seen:
        raise refuse("the filters remove every selected member", "filters")
    _refuse_unsupported(engines, elements, refuse)


def _prototype(
    space: CompositionSpace, refuse: Callable[[str, str], SpecError]
) -> Prototype:
    """Return the parent lattice of a space; refuse one whose sublattices differ."""
    try:
        prototype = prototype_of_family(space.family)
    except OrderingError as err:
        raise refuse(str(err), "space.family") from err
    if set(prototype.sublattices) != set(space.sites):
        raise refuse(
            f"the family {space.family} is ordered on the prototype {prototype.name} "
            f"with the sublattices {', '.join(sorted(prototype.sublattices))}, and the "
            f"space has {', '.join(sorted(space.sites))}: give them the same names",
            "space.sublattices",
        )
    return prototype


def _refuse_unsupported(
    engines: Mapping[str, Engine],
    elements: set[str],
    refuse: Callable[[str, str], SpecError],
) -> None:
    for place, one in engines.items():
        if unsupported := sorted(one.unsupported(elements)):
            raise refuse(
                f"{one.name} cannot compute {', '.join(unsupported)}: choose another "
                "engine or leave the element out of the space",
                place,
            )
