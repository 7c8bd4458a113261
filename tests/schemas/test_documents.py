"""Every document: as it is stored it comes back; what it does not know is refused."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, ValidationError

import hts_battery.schemas
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy
    from pydantic.fields import FieldInfo

# Their fields belong together, so each has tests of its own, beside this one.
MADE_BY_HAND = {
    *("BackupManifest", "CandidateDoc", "CollectionBackup", "CorrectionAudit"),
    *("FailurePolicy", "NasiconPairsSpec", "ReferencePhase", "Selection", "SpaceSpec"),
    *("SublatticeSpec", "CampaignSpec", "ReferenceEnergyFile", "ChunkWork"),
    *("AmountRange", "ElectrochemistryOptions", "ElectrodeSpec"),
}
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3)
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - their zone is added


def documents() -> Iterator[type[Document]]:
    for module in pkgutil.iter_modules(hts_battery.schemas.__path__):
        found = importlib.import_module(f"hts_battery.schemas.{module.name}")
        for value in vars(found).values():
            if (
                isinstance(value, type)
                and issubclass(value, Document)
                and value.__module__ == found.__name__
            ):
                yield value


DOCUMENTS = sorted(set(documents()) - {Document}, key=lambda one: one.__name__)
st.register_type_strategy(str, st.text("abcXYZ019 .-", max_size=6))
st.register_type_strategy(float, NUMBERS)
st.register_type_strategy(int, st.integers(-9, 99))
st.register_type_strategy(Fraction, st.fractions(0, 9, max_denominator=40))
st.register_type_strategy(datetime, TIMES.map(lambda time: time.replace(tzinfo=UTC)))
st.register_type_strategy(object, VALUES)


def within(field: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - any field
    """Bring a value into the bounds of its field, which hypothesis does not know."""
    for rule in field.metadata:
        number = isinstance(value, int | float | Fraction) and value is not True
        if isinstance(rule, Ge) and number:
            value = abs(value) + rule.ge
        elif isinstance(rule, Gt) and number:
            value = abs(value) + rule.gt + 1
        elif isinstance(rule, Le) and number:
            value = min(value, rule.le)
        elif isinstance(rule, MaxLen) and value is not None:
            value = value[: rule.max_length]
    return value


def bounded(field: FieldInfo, values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    least = max(
        (r.min_length for r in field.metadata if isinstance(r, MinLen)), default=0
    )
    known = values.filter(
        lambda value: value is None or not least or len(value) >= least
    )
    return known.map(lambda value: within(field, value))


def fields_of(model: type[Document]) -> SearchStrategy[dict[str, Any]]:
    """Draw the required fields of a document, and some of the others."""
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if annotation is AwareDatetime or AwareDatetime in getattr(
            annotation, "__args__", ()
        ):
            values: SearchStrategy[Any] = st.from_type(datetime)
        else:
            values = st.from_type(Annotated[annotation, "as declared"])  # type: ignore[arg-type]
        place = required if field.is_required() else optional
        place[name] = bounded(field, values)
    return st.fixed_dictionaries(required, optional=optional)


def drawn(model: type[Document]) -> SearchStrategy[Document]:
    def made(fields: dict[str, Any]) -> Document | None:
        try:
            return model(**fields)
        except ValidationError:  # fields that contradict each other
            return None

    return fields_of(model).map(made).filter(lambda one: one is not None)


for one in DOCUMENTS:
    st.register_type_strategy(one, drawn)


@pytest.mark.parametrize("model", DOCUMENTS, ids=lambda model: model.__name__)
def test_each_field_says_what_it_is(model: type[Document]) -> None:
    silent = [
        name for name, field in model.model_fields.items() if not field.description
    ]
    assert not silent, "an analyst reads descriptions, not code"
    assert model.__doc__


@pytest.mark.parametrize(
    "model",
    [one for one in DOCUMENTS if one.__name__ not in MADE_BY_HAND],
    ids=lambda model: model.__name__,
)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(data=st.data())
def test_what_is_stored_comes_back(model: type[Document], data: st.DataObject) -> None:
    document = data.draw(drawn(model))
    stored = document.model_dump(mode="json")
    assert model.model_validate(stored) == document
    assert model.model_validate_json(document.model_dump_json()) == document
    # monty tags what a job returns with its class.
    assert model.model_validate({**stored, "@class": model.__name__}) == document
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({**stored, "no_such_field": 1})
    name = next(iter(model.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(document, name, None)
