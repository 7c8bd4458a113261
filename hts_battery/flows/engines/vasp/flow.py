"""What campaigns submit for VASP: a name, from which the node builds the flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobflow import Maker

if TYPE_CHECKING:
    from pathlib import Path

    from atomate2.vasp.flows.mp import (
        MP24DoubleRelaxStaticMaker,
        MPGGADoubleRelaxStaticMaker,
    )
    from jobflow import Flow
    from pymatgen.core import Structure


@dataclass
class VaspFlowMaker(Maker):
    """
    Make the VASP flow of an engine where it is asked for one.

    Three input sets travel with atomate2's maker; this one is the engine's name, the
    label of its energies, ``mp-gga`` or ``mp24``, whether the stand-in runs, and
    whether atoms alone are relaxed, so that submitting a candidate stays small and
    takes no import of six seconds.
    """

    name: str = "vasp-mp-gga"
    calculator: str = "vasp mp-gga PBE"
    settings: str = "mp-gga"
    rehearse: bool = False
    keep_cell: bool = False

    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> Flow:
        """Make the flow; its magnetic start is the site property ``magmom``."""
        flow: Flow = self.flow_maker().make(structure, prev_dir=prev_dir)
        return flow

    def flow_maker(self) -> MPGGADoubleRelaxStaticMaker | MP24DoubleRelaxStaticMaker:
        """Return the maker with everything in it: atomate2's, of our jobs."""
        # Takes six seconds to import and only nodes need it.
        from hts_battery.flows.engines.vasp.engines import (  # noqa: PLC0415 - it imports this
            REHEARSAL_COMMAND,
        )
        from hts_battery.flows.engines.vasp.jobs import mp24_maker, mp_gga_maker  # noqa: PLC0415
        from hts_battery.flows.engines.vasp.run import (  # noqa: PLC0415 - as above
            VaspOptions,
            rehearsal_options,
        )

        options = VaspOptions(engine=self.name, calculator=self.calculator)
        if self.rehearse:
            # The command is this machine's: another may have its Python elsewhere.
            options = rehearsal_options(
                REHEARSAL_COMMAND, engine=self.name, calculator=self.calculator
            )
        options = options.model_copy(update={"keep_cell": self.keep_cell})
        if self.settings == "mp24":
            return mp24_maker(options)
        return mp_gga_maker(options)
