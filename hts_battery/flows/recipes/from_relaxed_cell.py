"""What recipes share that compute forces of a relaxed cell, job after job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from jobflow import CURRENT_JOB, Flow, Job, Maker, Response, job

from hts_battery.electrochemistry.carriers import alkali_carrier
from hts_battery.flows.engines.engine import Capability
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.recipes.engine_recipe import (
    START_STEP,
    EngineRecipeMaker,
    read_output,
    start_of,
)
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.dynamics import TransportOptions
from hts_battery.structures.inputs import bare_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

    from hts_battery.flows.engines.engine import Engine
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

RELAX_STEP = "relax"


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
    start = start_of(candidate)
    addition = maker.added(candidate, maker_text, uuids, outputs_of(uuids))
    return Response(
        output={"entry_id": start.entry_id, "ordering_id": start.ordering_id},
        addition=addition,
    )


@dataclass
class RelaxedCellMaker(EngineRecipeMaker):
    """
    Compute pieces of a relaxed cell, one job after another, and put them together.

    Each job is told what was computed before, and adds the job of the next piece: a
    piece is never computed twice, whoever was killed.

    Parameters
    ----------
    options
        Section ``transport`` of the campaign.
    forces_maker
        Maker that has an ASE calculator.
    """

    options: TransportOptions = field(default_factory=TransportOptions)
    forces_maker: Maker | None = None

    packages = (*EngineRecipeMaker.packages, "ase")

    def configure(
        self, spec: CampaignSpec, chosen: Engine, relax_maker: Maker | None
    ) -> None:
        """Take the section ``transport``, and what has a calculator."""
        self.options = spec.transport
        self.forces_maker = relax_maker or chosen.maker(
            Capability.FORCES, spec.relaxation
        )

    def first_job(
        self, candidate: CandidateDoc, maker_text: str, parts: Mapping[str, str]
    ) -> Job:
        """Make the job that adds the next piece."""
        made: Job = start_job(candidate, maker_text, parts)
        made.config.expose_store = True
        return made

    def added(
        self,
        candidate: CandidateDoc,
        maker_text: str,
        uuids: Mapping[str, str],
        known: Mapping[str, object],
    ) -> Flow:
        """Make, on the node, the jobs that come first of what is missing."""
        start = start_of(candidate)
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
        tags = {"ordering_id": start_of(candidate).ordering_id, **more}
        # Not dynamic: the job that this one makes has a step and a part of its own.
        made.update_metadata({"step": step, **tags}, dynamic=False)
        self.route(made, step)
        made.name = part or step
        made.config.expose_store = True
        return Flow([made])

    def cell(self, candidate: CandidateDoc, known: Mapping[str, object]) -> Structure:
        """Return the cell as this engine has relaxed it."""
        if RELAX_STEP in known:
            task = read_output(known[RELAX_STEP], self.engine_name)
            return read_structure(task.structure)
        return bare_structure(
            start_of(candidate).to_structure(),
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
