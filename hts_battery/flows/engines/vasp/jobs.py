"""
VASP jobs: atomate2's makers, with failures classified and calculations restarted.

Inputs are those of atomate2's makers for the Materials Project; only MAGMOM comes from
the structure, and only a failure changes other tags. A calculation that fails writes
down why and replaces itself by one that goes on from its last geometry.
"""

from __future__ import annotations

import shutil
import socket
import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomate2 import SETTINGS
from atomate2.common.files import gzip_output_folder
from atomate2.vasp.files import copy_vasp_outputs, write_vasp_input_set
from atomate2.vasp.flows.mp import (
    MP24DoubleRelaxMaker,
    MP24DoubleRelaxStaticMaker,
    MPGGADoubleRelaxMaker,
    MPGGADoubleRelaxStaticMaker,
)
from atomate2.vasp.jobs.base import get_vasp_task_document, vasp_job
from atomate2.vasp.jobs.mp import MPGGARelaxMaker
from atomate2.vasp.run import run_vasp
from emmet.core.tasks import TaskDoc
from jobflow import CURRENT_JOB, Maker, Response, job
from pydantic import Field, field_validator
from pymatgen.core import Structure

from hts_battery.errors import CalculationError
from hts_battery.flows.engines.vasp.documents import (
    bare_structure,
    changed_moments,
    electronic_and_ionic_steps,
    evidence_in,
    in_given_order,
    is_cut_off,
    last_structure,
    potential_titles,
    site_order,
    slim,
    unconverged_loops,
)
from hts_battery.flows.engines.vasp.run import VaspOptions, run_keywords
from hts_battery.flows.execution.failures import (
    classify,
    known_policy,
    next_action,
)
from hts_battery.flows.execution.node import installed_versions
from hts_battery.flows.execution.queue_requests import repeated_config
from hts_battery.flows.execution.recorded import earlier_launches
from hts_battery.schemas.base import Document
from hts_battery.schemas.decoding import read_structure
from hts_battery.schemas.failure import (
    FailureClass,
    FailureDoc,
    FailurePolicy,
    NextAction,
    RunRecord,
    StartFrom,
    Verb,
)
from hts_battery.structures.inputs import MOMENT
from hts_battery.vasp_standin import VASP_MARK

if TYPE_CHECKING:
    from atomate2.vasp.jobs.base import BaseVaspMaker
    from jobflow import Job


CODE = "vasp"
"""Name of VASP in the settings of remedies."""
STATIC = "static"
"""The calculation of a flow whose energy counts."""
_CELL_KEPT = 2  # VASP's number for atoms that move in a cell that does not
_WAVES = "WAVECAR"
_DENSITIES = (_WAVES, "CHGCAR")
_RECORDED_PACKAGES = ("hts_battery", "atomate2", "custodian", "emmet-core", "pymatgen")
_LONGEST_MESSAGE = 2000
_ZIPPED = (
    *("INCAR", "KPOINTS", "POSCAR", "POTCAR", "INCAR.orig", "KPOINTS.orig"),
    *("POSCAR.orig", "POTCAR.orig", "CHG", "CHGCAR", "CONTCAR", "DOSCAR", "EIGENVAL"),
    *("IBZKPT", "OSZICAR", "OUTCAR", "PCDAT", "PROCAR", "REPORT", "WAVECAR"),
    *("XDATCAR", "vasprun.xml", "vaspout.h5", "vasp.out", "custodian.json"),
)


class Past(Document):
    """What a repeated calculation knows of its earlier attempts."""

    failures: tuple[FailureDoc, ...] = Field((), description="Failed attempts.")
    start: dict[str, object] | None = Field(
        None, description="Structure of the first attempt; null at the first attempt."
    )
    settings: dict[str, object] = Field(
        default_factory=dict, description="INCAR tags that failures changed."
    )
    folder: str | None = Field(
        None, description="Launch folder whose densities the attempt starts from."
    )

    @field_validator("start", mode="before")
    @classmethod
    def _as_dictionary(cls, value: object) -> object:
        # FireWorks reads a job through monty, which makes a structure of it at once.
        return value.as_dict() if isinstance(value, Structure) else value

    @property
    def seconds(self) -> float:
        """Wall time of the failed attempts in s."""
        return sum(one.seconds for one in self.failures)


def mp_gga_maker(options: VaspOptions) -> MPGGADoubleRelaxStaticMaker:
    """Return atomate2's flow of the Materials Project's GGA and GGA+U, of our jobs."""
    theirs, double = MPGGADoubleRelaxStaticMaker(), MPGGADoubleRelaxMaker()
    made: MPGGADoubleRelaxStaticMaker = _ours(theirs, double, options)
    return made


def mp24_maker(options: VaspOptions) -> MP24DoubleRelaxStaticMaker:
    """Return atomate2's r2SCAN flow of 2024, of our jobs."""
    theirs, double = MP24DoubleRelaxStaticMaker(), MP24DoubleRelaxMaker()
    made: MP24DoubleRelaxStaticMaker = _ours(theirs, double, options)
    return made


def _ours(flow: Any, relax: Any, options: VaspOptions) -> Any:  # noqa: ANN401 - atomate2 types its fields as Maker
    """Put our jobs in the places of atomate2's; their settings stay."""

    def ours(step: str, maker: Any) -> VaspJobMaker:  # noqa: ANN401 - as above
        return VaspJobMaker(name=maker.name, step=step, maker=maker, options=options)

    double = replace(
        relax,
        relax_maker1=ours("relax 1", relax.relax_maker1),
        relax_maker2=ours("relax 2", relax.relax_maker2),
    )
    static = ours("static", flow.static_maker)
    return replace(flow, relax_maker=double, static_maker=static)


@job
def give_up_job(failure: FailureDoc) -> None:
    """
    Fail for the reason that a calculation failed for, and do nothing else.

    The calculation itself has ended and stored its evidence; this job makes the flow,
    the queue and the execution record see that there is no result.
    """
    raise CalculationError(
        str(failure.failure_class),
        failure.summary,
        evidence="\n".join(failure.last_lines),
    )


@dataclass
class VaspJobMaker(Maker):
    """
    Make one VASP calculation that knows what to do when it fails.

    ``step``: which calculation of the flow it is. ``maker``: atomate2's, whose inputs
    are written. ``policy``: what is done about failures; none takes the policy of the
    node's installation.
    """

    name: str = "vasp"
    step: str = "relax 1"
    maker: BaseVaspMaker = field(default_factory=MPGGARelaxMaker)
    options: VaspOptions = field(default_factory=VaspOptions)
    policy: FailurePolicy | None = None

    @vasp_job
    def make(
        self,
        structure: Structure,
        prev_dir: str | Path | None = None,
        past: Past | None = None,
    ) -> Response[TaskDoc]:
        """
        Run VASP once; replace this job where it has to be repeated.

        The site property ``magmom`` is the magnetic start, ``prev_dir`` the folder of
        the calculation before this one in the flow, ``past`` what is known of earlier
        attempts. The output is atomate2's document with what happened under ``run``,
        see :class:`hts_battery.schemas.failure.RunRecord`.
        """
        past = past or Past()
        known = len(past.failures)
        attempt = _Attempt(self, structure, prev_dir, past, known).resumed()
        try:
            document = attempt.compute()
        except Exception as err:
            failure = attempt.failure(err, ())
            if failure.failure_class is FailureClass.UNKNOWN:
                err.add_note(failure.summary)
                raise
            return attempt.after(failure)
        problems = attempt.problems(document)
        if problems:
            return attempt.after(attempt.failure(None, problems), document)
        return attempt.finish(document, ())


@dataclass
class _Attempt:
    """One run of VASP in the working folder, and what is made of it."""

    maker: VaspJobMaker
    structure: Structure
    prev_dir: str | Path | None
    past: Past
    known: int
    """Failures that are counted in what its queue was asked for."""
    folder: Path = field(default_factory=Path.cwd)
    began: float = field(default_factory=time.monotonic)

    @property
    def policy(self) -> FailurePolicy:
        """Return what is done about failures."""
        return self.maker.policy or known_policy()

    def resumed(self) -> _Attempt:
        """Go on where an earlier launch of the same job was lost, if one was."""
        uuid = CURRENT_JOB.job.uuid
        launches = [one for one in earlier_launches(self.folder) if one.ran(uuid)]
        losses = tuple(
            one.failure.model_copy(update={"step": self.maker.step})
            for one in launches
            if one.failure is not None
        )
        if not launches:
            return self
        start = self.past.start or self.structure.as_dict()
        failures = (*self.past.failures, *losses)
        past = self.past.model_copy(update={"failures": failures, "start": start})
        if losses:
            action = next_action(failures, self.policy)
            past = past.model_copy(update={"settings": action.settings.get(CODE, {})})
            if action.start is StartFrom.BEGINNING:
                given = read_structure(start)
                past = past.model_copy(update={"folder": None})
                return replace(self, structure=given, past=past)
        for launch in reversed(launches):
            last = last_structure(launch.folder, self.structure)
            if last is not None:
                past = past.model_copy(
                    update={"folder": f"{socket.gethostname()}:{launch.folder}"}
                )
                return replace(self, structure=last, past=past)
        return replace(self, past=past)

    def compute(self) -> TaskDoc:
        """Write inputs, run VASP under custodian and read its outputs."""
        maker, options = self.maker.maker, self.maker.options
        if self.prev_dir is not None:
            copy_vasp_outputs(self.prev_dir, **maker.copy_vasp_kwargs)
        generator = deepcopy(maker.input_set_generator)
        if options.keep_cell:
            generator.user_incar_settings["ISIF"] = _CELL_KEPT
        generator.user_incar_settings.update(self.past.settings)
        generator.user_incar_settings.update(self._densities())
        write_vasp_input_set(
            bare_structure(self.structure),
            generator,
            from_prev=self.prev_dir is not None,
            potcar_spec=options.potcar_spec,
        )
        run_vasp(**run_keywords(options, self.maker.step))
        document: TaskDoc = get_vasp_task_document(  # type: ignore[assignment] # no NEB
            self.folder,
            store_additional_json=False,
            # A static calculation has one step, and the check of its settings reads it.
            store_trajectory="no" if self.maker.step == STATIC else "partial",
            **maker.task_document_kwargs,
        )
        document.task_label = self.maker.name
        return document

    def _densities(self) -> dict[str, int]:
        """Fetch the densities of the attempt before; return the tags that read them."""
        if self.past.folder is None:
            return {}
        fetched = set()
        for name in _DENSITIES:
            there = Path(self.past.folder.rpartition(":")[2]) / name
            # VASP leaves an empty WAVECAR where it is told to write none, and a part
            # of one where it is killed.
            if not there.is_file() or there.stat().st_size == 0:
                continue
            if name != _WAVES or not is_cut_off(there):
                shutil.copyfile(there, self.folder / name)
                fetched.add(name)
        # Without wave functions VASP starts from atoms unless it is told otherwise.
        return {"ICHARG": 1} if fetched == {"CHGCAR"} else {}

    def problems(self, document: TaskDoc) -> tuple[str, ...]:
        """
        List what is wrong with outputs that could be read.

        A relaxation that was asked to stop has fewer steps than it was allowed, which
        pymatgen takes for convergence: custodian's log says better.
        """
        helpless = [
            str(correction.errors)
            for correction in evidence_in(self.folder).corrections
            if not correction.actions
        ]
        errors = document.analysis.errors if document.analysis else None
        tolerance = self.policy.moment_tolerance
        return (
            *helpless,
            *unconverged_loops(self.folder),
            *(errors or ()),
            *changed_moments(self.structure, self._ordered(document), tolerance),
        )

    def failure(self, error: Exception | None, problems: tuple[str, ...]) -> FailureDoc:
        """Classify what happened and write it down."""
        evidence = evidence_in(self.folder, error, problems)
        found = classify(evidence)
        return FailureDoc(
            failure_class=found.failure_class,
            step=self.maker.step,
            attempt=len(self.past.failures) + 1,
            reason=found.reason[:_LONGEST_MESSAGE],
            handler=found.handler,
            error_class=type(error).__name__ if error else None,
            error_message=str(error)[:_LONGEST_MESSAGE] if error else None,
            corrections=evidence.corrections,
            last_lines=evidence.last_lines,
            notes=evidence.notes,
            folder=f"{socket.gethostname()}:{self.folder}",
            seconds=self._seconds(),
            time=datetime.now(UTC),
            rehearsal=_is_rehearsal(self.folder),
        )

    def after(
        self, failure: FailureDoc, document: TaskDoc | None = None
    ) -> Response[TaskDoc]:
        """Repeat, keep or give up, as the policy says."""
        failures = (*self.past.failures, failure)
        action = next_action(failures, self.policy)
        if action.verb is Verb.KEEP and document is not None:
            return self.finish(document, failures)
        record = self._record(failures, document, converged=False)
        output = TaskDoc.model_validate(
            {
                "state": "failed",
                "task_label": self.maker.name,
                "dir_name": failure.folder,
                "run": record.model_dump(mode="json"),
            }
        )
        following = (
            self._again(failures, action)
            if action.verb is Verb.REPEAT
            else give_up_job(failure)
        )
        following.name = CURRENT_JOB.job.name
        return Response(output=output, replace=following)

    def finish(
        self, document: TaskDoc, failures: tuple[FailureDoc, ...]
    ) -> Response[TaskDoc]:
        """Return the document of a calculation that has an energy."""
        slimmer, dropped = slim(document)
        record = self._record(
            failures or self.past.failures, document, converged=True, dropped=dropped
        )
        gzip_output_folder(
            directory=self.folder,
            setting=SETTINGS.VASP_ZIP_FILES,
            files_list=list(_ZIPPED),
        )
        update = {
            "structure": self._ordered(document),
            "run": record.model_dump(mode="json"),
        }
        return Response(output=slimmer.model_copy(update=update))

    def _again(self, failures: tuple[FailureDoc, ...], action: NextAction) -> Job:
        """Make the job that repeats the calculation with the remedy."""
        start = read_structure(self.past.start) if self.past.start else self.structure
        past = Past(
            failures=failures,
            start=start.as_dict(),
            settings=action.settings.get(CODE, {}),
        )
        if action.start is StartFrom.LAST_GEOMETRY:
            start = last_structure(self.folder, self.structure) or self.structure
            past = past.model_copy(update={"folder": failures[-1].folder})
        again: Job = self.maker.make(  # type: ignore[misc] # atomate2's decorator
            start, prev_dir=self.prev_dir, past=past
        )
        if action.resources:
            # jobflow lays the tags of this job over those of its replacement, and then
            # its updates: only an update of this job gets through.
            CURRENT_JOB.job.metadata_updates.append(
                {"update": {"resources": action.resources}}
            )
            # Its request to the queue is handed on as this job's was made.
            config = CURRENT_JOB.job.config
            config.response_manager_config = repeated_config(
                config.manager_config,
                [one.failure_class for one in failures],
                self.policy,
                known=self.known,
            )
        return again

    def _record(
        self,
        failures: tuple[FailureDoc, ...],
        document: TaskDoc | None,
        *,
        converged: bool,
        dropped: tuple[str, ...] = (),
    ) -> RunRecord:
        options, moments = self.maker.options, self.structure.site_properties
        steps = electronic_and_ionic_steps(self.folder)
        generator = self.maker.maker.input_set_generator
        return RunRecord(
            engine=options.engine,
            calculator=options.calculator,
            step=self.maker.step,
            versions=installed_versions(_RECORDED_PACKAGES),
            converged=converged,
            n_steps=None if steps is None else steps[1],
            attempts=len(self.past.failures) + 1,
            seconds=self.past.seconds + self._seconds(),
            corrections=evidence_in(self.folder).corrections,
            failures=failures,
            settings=self.past.settings,
            start_moments=moments.get(MOMENT),
            site_order=site_order(self.structure),
            potentials=potential_titles(document) if document else (),
            potential_functional=generator.user_potcar_functional,
            dropped=dropped,
            rehearsal=_is_rehearsal(self.folder),
        )

    def _ordered(self, document: TaskDoc) -> Structure:
        return in_given_order(
            document.structure, self.structure, site_order(self.structure)
        )

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _is_rehearsal(folder: Path) -> bool:
    """Whether what stands in a folder was printed by a stand-in."""
    printed = folder / "vasp.out"
    return printed.is_file() and VASP_MARK in printed.read_text(errors="replace")[:200]
