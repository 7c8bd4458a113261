"""What recipes share that compute forces of a relaxed cell, job after job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from jobflow import CURRENT_JOB, Flow, Job, Maker, Response, job
from monty.json import jsanitize

from hts_battery.electrochemistry.carriers import alkali_carrier
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.node import installed_versions
from hts_battery.flows.recipes.recipe import RecipeMaker
from hts_battery.schemas.calculation import read_task
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.dynamics import TransportOptions
from hts_battery.structures.inputs import bare_structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

    from hts_battery.schemas.calculation import TaskOutput
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc, StartingCell
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.gate import HullSnapshot

START_STEP, RELAX_STEP = "start", "relax"
_PACKAGES = ("hts_battery", "atomate2", "pymatgen", "ase")


@job
def start_job(
    candidate: CandidateDoc,
    maker_text: str,
    uuids: Mapping[str, str],
    after: object = None,  # noqa: ARG001 - what it waits for
) -> Response[Any]:
    """
    Add what is missing: a relaxation with this engine, or the next piece.

    ``uuids``: part → job that computed it. The output names the cell.
    """
    maker = RelaxedCellMaker.from_text(maker_text)
    start = maker.start_of(candidate)
    addition = maker.added(candidate, maker_text, uuids, outputs_of(uuids))
    return Response(
        output={"entry_id": start.entry_id, "ordering_id": start.ordering_id},
        addition=addition,
    )


@dataclass
class RelaxedCellMaker(RecipeMaker):
    """
    Compute pieces of a relaxed cell, one job after another, and put them together.

    Each job is told what was computed before, and adds the job of the next piece: a
    piece is never computed twice, whoever was killed.

    Parameters
    ----------
    options
        Section ``transport`` of the campaign.
    engine_name
        Engine whose forces they are.
    relax_maker
        Maker of a relaxation, for cells that another engine relaxed.
    forces_maker
        Maker that has an ASE calculator.
    magmom, charge
        Whether the engine takes starting moments and formal charges.
    """

    options: TransportOptions = field(default_factory=TransportOptions)
    engine_name: str = "chgnet"
    relax_maker: Maker | None = None
    forces_maker: Maker | None = None
    magmom: bool = False
    charge: bool = False

    @classmethod
    def from_campaign(
        cls,
        spec: CampaignSpec,
        *,
        relax_maker: Maker | None = None,
        prerelax_maker: Maker | None = None,  # noqa: ARG003 - it has no such step
    ) -> Self:
        """Configure the maker as a campaign says; one of an engine may be injected."""
        chosen = engine(spec.engine)
        return cls(
            calculation=spec.calculation,
            versions=installed_versions([*_PACKAGES, *chosen.packages]),
            options=spec.transport,
            engine_name=spec.engine,
            relax_maker=relax_maker or chosen.relax_maker(spec.relaxation),
            forces_maker=relax_maker
            or chosen.maker(Capability.FORCES, spec.relaxation),
            magmom=chosen.magmom,
            charge=chosen.charge,
        )

    def make(  # noqa: PLR0913 - each is named by its caller
        self,
        candidate: CandidateDoc,
        *,
        hull: HullSnapshot | None = None,  # noqa: ARG002 - it has no gate
        finished: Iterable[str] = (),  # noqa: ARG002 - the parts say what is left
        parts: Mapping[str, str] | None = None,
        unconverged: Mapping[str, Unconverged] | None = None,  # noqa: ARG002 - ends or fails
        released: bool = False,  # noqa: ARG002 - it has no gate
        uuid: str | None = None,
        maker_text: str | None = None,
    ) -> Flow:
        """Make the flow of one candidate, as all recipes do; ``parts``: its pieces."""
        uuids = dict(sorted((parts or {}).items()))
        first: Job = start_job(candidate, maker_text or self.to_text(), uuids)
        first.config.expose_store = True
        return self.started(first, candidate, step=START_STEP, uuid=uuid)

    def added(
        self,
        candidate: CandidateDoc,
        maker_text: str,
        uuids: Mapping[str, str],
        known: Mapping[str, object],
    ) -> Flow:
        """Make, on the node, the jobs that come first of what is missing."""
        start = self.start_of(candidate)
        if start.engine == self.engine_name or RELAX_STEP in known:
            return self.following(candidate, maker_text, uuids, known)
        cell = bare_structure(
            start.to_structure(), magmom=self.magmom, charge=self.charge
        )
        relaxed = cast("Job", cast("Maker", self.relax_maker).make(cell))
        self.tag(relaxed, RELAX_STEP, part=RELAX_STEP, ordering_id=start.ordering_id)
        uuids = {**uuids, RELAX_STEP: relaxed.uuid}
        again: Job = start_job(candidate, maker_text, uuids, after=relaxed.output)
        return Flow([relaxed, *self.one(again, candidate, START_STEP).jobs])

    def following(
        self,
        candidate: CandidateDoc,
        maker_text: str,
        uuids: Mapping[str, str],
        known: Mapping[str, object],
    ) -> Flow:
        """Make the job of the next piece, or of the result."""
        raise NotImplementedError

    def one(
        self, made: Job, candidate: CandidateDoc, step: str, part: str | None = None
    ) -> Flow:
        """Tag and name the one job that comes next."""
        more = {} if part is None else {"part": part}
        tags = {"ordering_id": self.start_of(candidate).ordering_id, **more}
        # Not dynamic: the job that this one makes has a step and a part of its own.
        made.update_metadata({"step": step, **tags}, dynamic=False)
        self.route(made, step)
        made.name = part or step
        made.config.expose_store = True
        return Flow([made])

    @staticmethod
    def start_of(candidate: CandidateDoc) -> StartingCell:
        """Return the cell that it starts from; ValueError where there is none."""
        if candidate.start is None:
            raise ValueError(f"{candidate.formula} has no relaxed cell to start from")
        return candidate.start

    def cell(self, candidate: CandidateDoc, known: Mapping[str, object]) -> Structure:
        """Return the cell as this engine has relaxed it."""
        if RELAX_STEP in known:
            plain = jsanitize(known[RELAX_STEP], strict=True, enum_values=True)
            task = read_task(cast("TaskOutput", plain), self.engine_name)
            return read_structure(task.structure)
        return bare_structure(
            self.start_of(candidate).to_structure(),
            magmom=self.magmom,
            charge=self.charge,
        )

    def carrier(self, structure: Structure) -> str:
        """Name the element that moves."""
        amounts = structure.composition.get_el_amt_dict()
        return self.options.carrier or alkali_carrier(amounts)

    def calculator(self) -> Calculator:
        """Load the calculator."""
        found: Calculator = self.forces_maker.calculator  # type: ignore[union-attr] # what a maker of forces has
        return found

    def calculator_name(self) -> str:
        """Name the calculator as documents do."""
        return engine(self.engine_name).calculator()


def outputs_of(uuids: Mapping[str, str]) -> dict[str, object]:
    """
    Read the outputs of jobs from the store of the job that runs.

    jobflow lets a job that is made on the node refer to none outside of its own flow.
    """
    store = CURRENT_JOB.store
    return {part: store.get_output(uuid, load=True) for part, uuid in uuids.items()}
