"""
Every exception hts_battery raises on purpose.

HTSBatteryError
├── ConfigurationError       settings, launchpad_configs, campaign and space files
│   ├── SpecError            a campaign, space or table file: knows file, line, field
│   │   └── BadFormulasError  a list names what is no member of the space: all of them
│   ├── QueryError           a filter, sort or field of a query
│   │   └── UnsearchableFieldError  a property that no filter can ask for
│   └── MissingExtraError    an optional extra of the package is not installed
├── CompositionError         compositions
│   ├── EmptySpaceError      no member satisfies every constraint
│   └── StateLimitError      exact counting would need too many states
├── OrderingError            structures
├── MissingReferenceError    thermo: an element has no competing phase
├── MixedCalculatorError     thermo: energies of two calculators in one hull
├── TrajectoryError          transport: frames or diffusivities that cannot be used
├── HopError                 transport: no such hop in a cell, or none at all
├── ForeignClassError        schemas: a document names what documents do not hold
├── StoreError               connections: a database or server is not usable
│   ├── DatabaseOutageError  it went away, or refuses, while it was used
│   ├── BrokenFileError      a file beside it was cut off, or is another's
│   ├── UnreadableDocumentError  missing, broken, or written by a newer version
│   ├── BusyError            another process does this now: wait and try again
│   └── QueryLimitError      a reader asked for more than it may: ask for less
├── CalculationError         flows: an engine's program ended without an energy
├── VersionSkewError         flows: a node has other packages than the submitter
└── SubmissionError          connections, campaign
    └── QueueRefusalError    a queue refuses a job, or does not answer: in its words
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class HTSBatteryError(Exception):
    """Base class of everything hts_battery raises on purpose."""


class ConfigurationError(HTSBatteryError):
    """A setting or configuration file is wrong."""


class SpecError(ConfigurationError):
    """
    A campaign, space or table file says something that cannot be.

    Parameters
    ----------
    message
        What is wrong and what would be right.
    file
        The file, if the text came from one.
    line
        Line in that file, counted from 1.
    field
        Dotted path of the field, for example ``space.sublattices.cation.sites``.

    Examples
    --------
    >>> str(SpecError("must be positive", file="a.yaml", line=3, field="step"))
    'a.yaml:3: step: must be positive'
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.field = field
        place = ":".join(str(part) for part in (file, line) if part is not None)
        super().__init__(": ".join(part for part in (place, field, message) if part))

    def at(self, *, file: str | None = None, line: int | None = None) -> SpecError:
        """Return the same error with its place filled in where it was unknown."""
        return SpecError(
            self.message,
            file=self.file or file,
            line=self.line or line,
            field=self.field,
        )


class BadFormulasError(SpecError):
    """
    A list of formulas names some that are no members of the space.

    Parameters
    ----------
    bad
        A line for each: place, formula, reason.
    total
        Number of formulas in the list.
    file, line, field
        Where the list is named.
    """

    def __init__(
        self,
        bad: Iterable[object],
        *,
        total: int,
        file: str | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.bad = tuple(bad)
        words = "cannot be screened: correct {}, or leave {} out with --skip-bad"
        if len(self.bad) == 1:
            words = f"{words.format('it', 'it')} ({self.bad[0]})"
            message = f"one of {total} formulas {words}"
        else:
            listed = "".join(f"\n  {one}" for one in self.bad)
            words = words.format("them", "them")
            message = f"{len(self.bad)} of {total} formulas {words}{listed}"
        super().__init__(
            message,
            file=file,
            line=line,
            field=field,
        )


class QueryError(ConfigurationError):
    """A query asks for what cannot be: filter, field, order or format."""


class UnsearchableFieldError(QueryError):
    """A property is known, but no filter can ask for it."""


class MissingExtraError(ConfigurationError):
    """
    What was asked for needs an optional extra that is not installed.

    Parameters
    ----------
    extra
        Name of the extra.
    package
        Package of it that could not be imported.

    Examples
    --------
    >>> str(MissingExtraError("disorder", "numba"))
    "numba is missing: install the extra with pip install 'hts_battery[disorder]'"
    """

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"{package} is missing: install the extra with "
            f"pip install 'hts_battery[{extra}]'"
        )


class CompositionError(HTSBatteryError):
    """A composition or a composition space cannot be."""


class EmptySpaceError(CompositionError):
    """No composition satisfies every constraint of a space."""


class StateLimitError(CompositionError):
    """Counting a space exactly would need more states than the stated limit."""


class OrderingError(HTSBatteryError):
    """A candidate cannot be placed on the sites of a cell."""


class MissingReferenceError(HTSBatteryError):
    """
    The hull cannot be built because competing phases are missing.

    Parameters
    ----------
    chemsys
        The chemical system asked for, for example ``Li-Mn-O``.
    missing
        Elements without any reference.
    """

    def __init__(self, chemsys: str, missing: Iterable[str]) -> None:
        self.chemsys = chemsys
        self.missing = frozenset(missing)
        names = ", ".join(sorted(self.missing))
        super().__init__(
            f"no reference phase for {names} in {chemsys}: a hull needs every element"
        )


class MixedCalculatorError(HTSBatteryError):
    """Energies of different calculators were put into one hull."""


class TrajectoryError(HTSBatteryError):
    """A trajectory, or diffusivities, cannot be analysed as they are."""


class HopError(HTSBatteryError):
    """A cell has no such hop, or none whose barrier can be computed."""


class ForeignClassError(HTSBatteryError):
    """A document would import a module, or call what is no class of a document."""


class StoreError(HTSBatteryError):
    """A database or its server cannot be used."""


class DatabaseOutageError(StoreError):
    """The server went away or refuses while it was used: no candidate's fault."""

    def to_dict(self) -> dict[str, str]:
        """Return what FireWorks stores beside the trace of an error."""
        return {"error_class": type(self).__name__}


class BrokenFileError(StoreError):
    """A file that was to be whole is cut off or damaged: nothing is left in it."""


class UnreadableDocumentError(StoreError):
    """A stored document is missing, broken, or was written by a newer version."""


class BusyError(StoreError):
    """
    Another process holds the lock of what was asked for.

    Parameters
    ----------
    message
        Who holds it, and what to do.
    is_stopped
        Whether that process is stopped, as with Ctrl-Z: waiting does not help.
    """

    def __init__(self, message: str, *, is_stopped: bool = False) -> None:
        super().__init__(message)
        self.is_stopped = is_stopped


class QueryLimitError(StoreError):
    """A query took longer, or asked for more, than a reader may."""


class CalculationError(HTSBatteryError):
    """
    The program of an engine ended without an energy.

    Parameters
    ----------
    kind
        Class of the program's own error, for example ``KohnShamConvergenceError``.
    message
        What the program said.
    evidence
        Last lines of its trace or log.
    """

    def __init__(self, kind: str, message: str, *, evidence: str = "") -> None:
        self.kind = kind
        self.evidence = evidence
        super().__init__(f"{kind}: {message}" if message else kind)


class VersionSkewError(HTSBatteryError):
    """
    A node has other packages than the machine that submitted a job.

    Parameters
    ----------
    different
        Package → version where the job was submitted, and version here or None.
    """

    def __init__(self, different: Mapping[str, tuple[str, str | None]]) -> None:
        self.different = dict(different)
        listed = ", ".join(
            f"{name} {there} there, {here or 'none'} here"
            for name, (there, here) in sorted(self.different.items())
        )
        super().__init__(
            f"other packages here than where the job was submitted: {listed}; install "
            "the same versions, or submit again from an environment like this one"
        )


class SubmissionError(HTSBatteryError):
    """A candidate could not be submitted or run."""


class QueueRefusalError(SubmissionError):
    """
    A queue does not take a job, or does not answer.

    Parameters
    ----------
    command
        The command that was run.
    words
        What it said, in its own words.
    may_have_it
        Whether the queue may have taken the job all the same.
    """

    def __init__(self, command: str, words: str, *, may_have_it: bool = False) -> None:
        self.words = words
        self.may_have_it = may_have_it
        super().__init__(f"{command}: {words or 'it said nothing'}")
