"""The base of builders of properties: one pure function for each candidate."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypedDict, Unpack, cast

from hts_battery.builders.own_orderings import PLACE_FIELDS, asked_for, campaign_entries
from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    by_key,
    dumped,
)
from hts_battery.connections.database.content_digests import (
    content_digests,
    query_values,
)
from hts_battery.errors import HTSBatteryError
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.entry import EntryDoc, EntryKind
from hts_battery.schemas.fields import PROPERTIES
from hts_battery.schemas.property import (
    PropertyDoc,
    Provenance,
    SubjectKind,
    property_id,
)
from hts_battery.schemas.thermo import OrderingScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import EntryRow, TaskRow, UsedEntryRow

    class _Part(TypedDict):
        candidate: Mapping[str, object]
        entries: list[Mapping[str, object]]
        stabilities: list[Mapping[str, object]]
        properties: list[Mapping[str, object]]
        results: list[TaskRow]
        input_digest: str

    class _Batch(TypedDict):
        inputs: list[_Part]
        common: object


RESULTS = "tasks/result"
"""What a builder reads that makes properties of the results of a recipe."""

_DECLARED = {spec.name: spec for spec in PROPERTIES}


def missing_packages(names: Sequence[str], extra: str) -> str | None:
    """
    Say which packages are not installed, and how they get there; None if all are.

    Examples
    --------
    >>> missing_packages(["json"], "disorder")
    >>> missing_packages(["no_such_package"], "disorder")
    "no_such_package is not installed: pip install 'hts_battery[disorder]'"
    """
    gone = [name for name in names if find_spec(name) is None]
    if not gone:
        return None
    words = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} not installed"
    return f"{words}: pip install 'hts_battery[{extra}]'" if extra else words


@dataclass(frozen=True)
class Value:
    """What a builder says of a candidate: a value, an array, or why there is none."""

    name: str
    """As declared in ``schemas/property_fields``, which says its unit."""
    value: float | int | bool | str | None = None
    uncertainty: float | None = None
    n: int | None = None
    reason: str | None = None
    conditions: Mapping[str, float | int | str] = field(default_factory=dict)
    array: Sequence[float] | Sequence[Sequence[float]] | None = None
    notes: Sequence[str] = ()
    method: str | None = None
    inputs: Sequence[str] | None = None
    """Ids of the entries it is made of, none if it says nothing of a calculation; all
    that were read if not given."""
    engine: str | None = None
    """That of the campaign if none is named."""
    calculator: str | None = None
    """That of the entries if none is named."""
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


class RecipeResult(NamedTuple):
    """What a recipe found out about one candidate."""

    engine: str
    completed_at: str
    output: Mapping[str, object]
    """Its document, as the recipe declares it."""


class CandidateInputs(NamedTuple):
    """What is known of one candidate, as far as a builder reads it."""

    candidate: CandidateDoc
    entries: tuple[EntryDoc, ...]
    """Its orderings that the campaign asks for, used or rejected, by entry id."""
    stabilities: tuple[ThermoRecord, ...]
    """One a temperature."""
    properties: tuple[PropertyDoc, ...]
    """Those of other builders that are read."""
    common: object
    """What :meth:`PropertyBuilder.common` read for all candidates, or
    :meth:`PropertyBuilder.together` made of it for this one."""
    results: tuple[RecipeResult, ...] = ()
    """Those of the builder's recipe, in whatever campaign it was computed."""


class PropertyBuilder(ScreeningBuilder):
    """
    Make properties of the candidates of one campaign by a pure function.

    A subclass says what it is called, what it reads and which properties it makes, and
    writes :meth:`values`; it stands in a module of ``builders/properties``, where the
    registry finds it. Its properties are declared in the module of the same name in
    ``schemas/property_fields``.

    A candidate whose inputs are unchanged is left as it stands. What the function
    refuses with an error of this package, or a ValueError, becomes a null with its
    reason.
    """

    name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    """Properties that it makes."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Of ``entries``, ``thermo``, :data:`RESULTS` and ``properties/NAME``, beside the
    candidates; where results are read, what has none has no property."""
    recipe: ClassVar[str | None] = None
    """Recipe whose results it reads."""
    requires: ClassVar[tuple[str, ...]] = ()
    """Packages of an optional extra; without them it is skipped."""
    extra: ClassVar[str] = ""
    without_inputs: ClassVar[bool] = False
    """Whether a candidate of which nothing that it reads has come has properties."""

    def __init__(  # noqa: PLR0913 - maggma hands every argument over by name
        self,
        members: Store,
        candidates: Store,
        entries: Store,
        thermo: Store,
        tasks: Store,
        properties: Store,
        *,
        campaign: CampaignSpec,
        temperatures: Sequence[float],
        **options: Unpack[Options],
    ) -> None:
        self.members = members
        self.candidates = candidates
        self.entries = entries
        self.thermo = thermo
        self.tasks = tasks
        self.properties = properties
        self.campaign = CampaignSpec.model_validate(campaign)
        self.temperatures = tuple(temperatures)
        super().__init__(
            [members, candidates, entries, thermo, tasks],
            [properties],
            key=["property_id"],
            scope={"campaign": self.campaign.name, "builder": self.name},
            options=options,
        )

    def as_dict(self) -> dict[str, object]:
        """Serialise documents as plain values: maggma's manager needs them."""
        campaign = self.campaign.model_dump(mode="json")
        return {**super().as_dict(), "campaign": campaign}

    @abstractmethod
    def values(self, found: CandidateInputs) -> Iterable[Value]:
        """Return the properties of one candidate: pure, without stores."""

    def common(self) -> tuple[object, object]:
        """Read what all candidates need, like a hull, and what to know it again by."""
        return None, None

    def together(self, batch: Sequence[CandidateInputs]) -> Sequence[CandidateInputs]:
        """Solve what is faster for many at once, and put it where `values` reads it."""
        return batch

    def get_items(self) -> Iterator[_Batch]:
        """Yield batches of candidates whose properties are missing or outdated."""
        common, mark = self.common()
        inputs = self._inputs()
        digests = self._digests_of(inputs, mark)
        for digest in digests.values():
            self.saw(digest)
        stored = self._stored()
        gone = stored.keys() - digests.keys()
        self.remove("subject_id", gone)
        outdated = [n for n, digest in digests.items() if stored.get(n) != digest]
        self.unchanged = len(digests) - len(outdated)
        for names in self.batches(outdated):
            self._forget([name for name in names if name in stored])
            yield {
                "inputs": list(self._parts(names, inputs, digests)),
                "common": common,
            }

    def _inputs(self) -> dict[str, _Inputs]:
        """Find, for each candidate of this worker, what it is made from."""
        scope = {"campaign": self.campaign.name}
        found = {
            doc["candidate_id"]: _Inputs(doc["content_key"])
            for doc in self.members.query(
                scope, properties=["candidate_id", "content_key"]
            )
            if self.mine(doc["candidate_id"])
        }
        if "entries" in self.reads:
            self._find_entries(found)
        if "thermo" in self.reads:
            names = ["candidate_id", "temperature", "input_digest", "hull_version"]
            for doc in self.thermo.query(scope, properties=names):
                if doc["candidate_id"] in found:
                    mark = [doc[name] for name in names[1:]]
                    found[doc["candidate_id"]].marks.append(mark)
        if RESULTS in self.reads:
            self._find_results(found)
        if others := self._others():
            self._find_properties(found, {**scope, "builder": {"$in": others}})
        return found

    def _find_results(self, found: Mapping[str, _Inputs]) -> None:
        """Note the results of the recipe that there are of each candidate."""
        criteria = {
            "metadata.step": "result",
            "metadata.calculation.recipe": self.recipe,
        }
        for (name, uuid), digest in content_digests(
            self.tasks, criteria, ["metadata.candidate_id", "uuid"]
        ):
            if name in found:
                found[name].results.append(uuid)
                found[name].marks.append([uuid, digest])

    def _find_properties(
        self, found: Mapping[str, _Inputs], criteria: Mapping[str, object]
    ) -> None:
        """Note the properties of other builders that there are of each candidate."""
        for doc in self.properties.query(
            dict(criteria), properties=["subject_id", "property_id", "input_digest"]
        ):
            if doc["subject_id"] in found:
                mark = [doc["property_id"], doc["input_digest"]]
                found[doc["subject_id"]].marks.append(mark)

    def _others(self) -> list[str]:
        """Name the builders whose properties it reads."""
        start = "properties/"
        return [one.removeprefix(start) for one in self.reads if one.startswith(start)]

    def _find_entries(self, found: Mapping[str, _Inputs]) -> None:
        """Note which entries of each candidate count: used ones, and rejected ones."""
        fields = ["entry_id", "candidate_id", "input_digest", "calculation"]
        names = {one.content_key: name for name, one in found.items()}
        groups: dict[str, list[EntryRow]] = defaultdict(list)
        for entry in query_values(
            self.entries,
            "content_key",
            names,
            criteria={"kind": EntryKind.CANDIDATE, "engine": self.campaign.engine},
            properties=[*fields, *PLACE_FIELDS, "content_key", "state"],
        ):
            groups[entry["content_key"]].append(cast("EntryRow", entry))
        wanted = self.campaign.structure.n_orderings
        for key, group in groups.items():
            for own in asked_for(group, wanted):
                found[names[key]].take(own)
        if self.campaign.stability.orderings is OrderingScope.POOLED:
            pooled = campaign_entries(
                self.campaign,
                (self.members, self.entries),
                fields=fields,
                is_wanted=found.__contains__,
            )
            for name, others in pooled.items():
                for other in others:
                    found[name].take(other)

    def _digests_of(
        self, inputs: Mapping[str, _Inputs], mark: object
    ) -> dict[str, str]:
        """Digest what each candidate's properties are made from."""
        own = [self.name, self.temperatures, mark]
        return {
            name: self.digest(own, digest, sorted(inputs[name].marks, key=str))
            for (name,), digest in content_digests(
                self.candidates, {}, ["candidate_id"]
            )
            if name in inputs and self._has_inputs(inputs[name])
        }

    def _has_inputs(self, found: _Inputs) -> bool:
        """Say whether there is anything to be made: what is read has come."""
        if RESULTS in self.reads:
            return bool(found.results)
        return bool(found.marks) or not self.reads or self.without_inputs

    def _stored(self) -> dict[str, str | None]:
        """Read the digest of what stands there; None where it is not whole."""
        groups: dict[str, list[tuple[str, int]]] = defaultdict(list)
        fields = ["subject_id", "input_digest", "siblings"]
        for doc in self.properties.query(self.scope, properties=fields):
            if self.mine(doc["subject_id"]):
                pair = (doc["input_digest"], doc["siblings"])
                groups[doc["subject_id"]].append(pair)
        return {
            name: pairs[0][0]
            if set(pairs) == {pairs[0]} and len(pairs) == pairs[0][1]
            else None
            for name, pairs in groups.items()
        }

    def _forget(self, names: Sequence[str]) -> None:
        """Remove what is about to be made again: other names may come of it."""
        if names:
            self._about_to_write()
            self.target.remove_docs({**self.scope, "subject_id": {"$in": list(names)}})

    def _parts(
        self,
        names: Sequence[str],
        inputs: Mapping[str, _Inputs],
        digests: Mapping[str, str],
    ) -> Iterator[_Part]:
        """Read what the properties of some candidates are made from."""
        scope = {"campaign": self.campaign.name}
        ids = [entry for name in names for entry in inputs[name].methods]
        docs = by_key(self.candidates, names, "candidate_id", criteria={})
        entries = by_key(self.entries, ids, "entry_id", criteria={})
        uuids = [uuid for name in names for uuid in inputs[name].results]
        tasks = by_key(self.tasks, uuids, "uuid", criteria={}) if uuids else {}
        records, others = {}, {}
        if "thermo" in self.reads:
            records = by_key(self.thermo, names, "candidate_id", criteria=scope)
        if builders := self._others():
            criteria = {**scope, "builder": {"$in": builders}}
            others = by_key(self.properties, names, "subject_id", criteria=criteria)
        for name in names:
            if name in docs:
                yield {
                    "candidate": docs[name][0],
                    "entries": [
                        {**entries[one][0], "ordering_method": method}
                        for one, method in sorted(inputs[name].methods.items())
                        if one in entries
                    ],
                    "stabilities": records.get(name, []),
                    "properties": others.get(name, []),
                    "results": [
                        task for uuid in inputs[name].results for task in tasks[uuid]
                    ],
                    "input_digest": digests[name],
                }

    def process_item(self, item: _Batch) -> Made:
        """Return the properties of one batch."""
        made: list[PropertyDoc] = []
        failed = 0
        batch = [_read(part, item["common"]) for part in item["inputs"]]
        for part, found in zip(item["inputs"], self.together(batch), strict=True):
            try:
                values = list(self.values(found))
            except (HTSBatteryError, ValueError) as err:
                failed += 1
                values = [Value(name, reason=str(err)) for name in self.names]
            made += self._documents(found, values, part["input_digest"])
        return {"documents": dumped(made), "failed": failed}

    def _documents(
        self, found: CandidateInputs, values: Sequence[Value], digest: str
    ) -> Iterator[PropertyDoc]:
        """Write down values of a candidate with all that they depend on."""
        name = found.candidate.candidate_id
        calculators = {one.calculator for one in found.entries if one.calculator}
        calculator = calculators.pop() if len(calculators) == 1 else None
        engine = self.campaign.engine
        for one in values:
            used = [e.entry_id for e in found.entries]
            inputs = tuple(used if one.inputs is None else one.inputs)
            yield PropertyDoc(
                property_id=property_id(
                    (SubjectKind.CANDIDATE, name),
                    campaign=self.campaign.name,
                    builder=self.name,
                    name=one.name,
                    conditions=one.conditions,
                ),
                subject_kind=SubjectKind.CANDIDATE,
                subject_id=name,
                campaign=self.campaign.name,
                builder=self.name,
                name=one.name,
                conditions=dict(one.conditions),
                value=one.value,
                array=cast("tuple[float, ...] | None", one.array),
                unit=_DECLARED[one.name].unit or "1",
                uncertainty=one.uncertainty,
                n=one.n,
                reason=one.reason,
                notes=tuple(one.notes),
                provenance=Provenance(
                    code_version=self.code_version,
                    recipe=self.recipe,
                    engine=one.engine or (engine if inputs else None),
                    calculator=one.calculator or (calculator if inputs else None),
                    method=one.method,
                    inputs=inputs,
                    seed=one.seed,
                    versions=dict(one.versions),
                ),
                siblings=len(values),
                input_digest=digest,
            )


def _read(part: _Part, common: object) -> CandidateInputs:
    """Read the documents of one candidate."""
    return CandidateInputs(
        CandidateDoc.model_validate(part["candidate"]),
        tuple(map(EntryDoc.model_validate, part["entries"])),
        tuple(
            sorted(
                map(ThermoRecord.model_validate, part["stabilities"]),
                key=lambda record: record.temperature,
            )
        ),
        tuple(map(PropertyDoc.model_validate, part["properties"])),
        common,
        tuple(map(_result, part["results"])),
    )


def _result(task: TaskRow) -> RecipeResult:
    """Read what a recipe found out from its job."""
    engine = task["metadata"]["calculation"]["engine"]
    output = {k: v for k, v in task["output"].items() if not k.startswith("@")}
    return RecipeResult(engine, str(task["completed_at"]), output)


@dataclass
class _Inputs:
    """What one candidate's properties are made from, named and digested."""

    content_key: str
    methods: dict[str, object] = field(default_factory=dict)
    """Entry → method by which the campaign gets its ordering."""
    marks: list[list[object]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    """Jobs whose outputs are results of the recipe."""

    def take(self, entry: EntryRow | UsedEntryRow) -> None:
        """Count an entry, once."""
        name, method = str(entry["entry_id"]), entry["ordering_method"]
        if name not in self.methods:
            self.methods[name] = method
            self.marks.append([name, method, entry["input_digest"]])
