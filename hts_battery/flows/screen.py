"""The flow of one candidate: order on the node, then compute what was ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Flow, Job, Maker, Response, job

from hts_battery.flows.engines import engine
from hts_battery.flows.recorded import recorded
from hts_battery.schemas.campaign import StructureSpec, content_key
from hts_battery.structures import order_candidate

if TYPE_CHECKING:
    from typing import Self

    from pymatgen.core import Structure

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.structure import OrderedCell

ORDER_STEP = "order"
RELAX_STEP = "relax"


@job
def order_candidate_job(
    candidate: CandidateDoc, structure: StructureSpec, relax_maker: Maker
) -> Response[Any]:
    """
    Order a candidate and add the job that relaxes the ordered cell.

    The expensive job is made here, on the node, so that submitting a candidate
    costs one small job whatever the engine.

    Parameters
    ----------
    candidate
        What to order; its chosen species assignment decides the sites.
    structure
        Method, cell size and seed.
    relax_maker
        Maker whose job relaxes a structure.

    Returns
    -------
    Response
        The ordered cell as output; the relaxation as an addition.
    """
    cell = order_candidate(
        candidate.to_candidate(),
        method=structure.method,
        atoms=structure.atoms,
        iterations=structure.iterations,
        seed=structure.seed,
    )
    relax = relax_maker.make(bare_structure(cell))
    relax.update_metadata({"step": RELAX_STEP, "order_uuid": CURRENT_JOB.job.uuid})
    return Response(output=cell, addition=relax)


def bare_structure(cell: OrderedCell) -> Structure:
    """Return the ordered cell with elements only, for engines that take no charges."""
    structure = cell.to_structure().remove_oxidation_states()
    for name in tuple(structure.site_properties):
        structure.remove_site_property(name)
    return structure


@dataclass
class ScreenMaker(Maker):
    """
    Order a candidate, relax it and take its energy.

    Parameters
    ----------
    name
        Name of the flows this maker produces.
    structure
        How the ordered cell is made.
    relax_maker
        Maker of the job that relaxes a structure and gives its energy.
    calculation
        What is digested, with the candidate, into the content key; stored with the
        outputs.
    """

    name: str = "screen"
    structure: StructureSpec = field(default_factory=StructureSpec)
    relax_maker: Maker = field(default_factory=Maker)
    calculation: dict[str, object] = field(default_factory=dict)

    @classmethod
    def from_campaign(
        cls, spec: CampaignSpec, *, relax_maker: Maker | None = None
    ) -> Self:
        """Configure the maker as a campaign says, or with another relaxation."""
        return cls(
            structure=spec.structure,
            relax_maker=relax_maker or engine(spec.engine).relax_maker(spec.relaxation),
            calculation=spec.calculation,
        )

    def make(self, candidate: CandidateDoc) -> Flow:
        """
        Make the flow of one candidate, every job tagged and recorded.

        Parameters
        ----------
        candidate
            The candidate to screen.

        Returns
        -------
        Flow
            One job; the others are made on the node and carry the same tags.
        """
        order: Job = order_candidate_job(candidate, self.structure, self.relax_maker)
        order.name = ORDER_STEP
        flow = Flow(
            [order], output=order.output, name=f"{self.name} {candidate.formula}"
        )
        flow.update_metadata(
            {
                "candidate_id": candidate.candidate_id,
                "content_key": content_key(candidate.candidate_id, self.calculation),
                "calculation": self.calculation,
            },
            dynamic=True,
        )
        # Not dynamic: the jobs made on the node have steps of their own.
        order.update_metadata({"step": ORDER_STEP}, dynamic=False)
        recorded(flow)
        return flow
