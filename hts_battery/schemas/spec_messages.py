"""One sentence for what pydantic complains of: what stands there, what should."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel

from hts_battery.schemas.number_text import number_advice, plain, plain_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_KINDS = {
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "tuple_type": "a list",
}
SHAPES = frozenset(_KINDS)
"""Complaints that something of another kind is wanted: of a union there are several."""
_BOUNDS = {
    "greater_than": ("gt", "too small: it must be greater than"),
    "greater_than_equal": ("ge", "too small: it must be at least"),
    "less_than": ("lt", "too large: it must be less than"),
    "less_than_equal": ("le", "too large: it must be at most"),
}


class FieldPlace(NamedTuple):
    """Where a complaint belongs, as far as the documents know."""

    path: tuple[str, ...]
    """Fields, keys and places of the file; no names of branches of a union."""
    field: FieldInfo | None
    """The innermost declared field on the way."""
    siblings: tuple[str, ...]
    """Names of the fields that may stand where the last part stands."""
    depth: int
    """How many parts of the path are inside the declared field."""


def find_place(shape: object, location: Sequence[int | str]) -> FieldPlace:
    """Follow the location of a complaint through the documents that were validated."""
    here, field, depth = _branches(shape), None, 0
    path: list[str] = []
    siblings: tuple[str, ...] = ()
    for part in location:
        models = [one for one in here if _is_model(one)]
        siblings = tuple(dict.fromkeys(f for m in models for f in m.model_fields))
        if _is_label(part):
            here = _narrowed(here, part)
            continue
        if any(part in one.model_fields for one in models):
            chosen = next(one for one in models if part in one.model_fields)
            field, depth = chosen.model_fields[str(part)], 0
            here = _branches(field.annotation)
        elif len(here) > 1 and part in _labels(here):
            here = _narrowed(here, part)
            continue
        elif inner := _inside(here, part):
            here, depth = inner, depth + 1
        path.append(str(part))
    return FieldPlace(tuple(path), field, siblings, depth)


def _is_model(one: Any) -> bool:  # noqa: ANN401 - any annotation
    return isinstance(one, type) and issubclass(one, BaseModel)


def _branches(annotation: object) -> list[Any]:
    """List what an annotation allows, unions and marks taken apart."""
    origin = get_origin(annotation)
    if origin is None or (isinstance(origin, type) and origin in {dict, list, tuple}):
        return [annotation]
    arguments = get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        return _branches(arguments[0])
    inner = [one for each in arguments for one in _branches(each)]
    return inner or [annotation]


def _inside(here: Iterable[Any], part: int | str) -> list[Any]:
    """Return what a list or a mapping among some annotations holds."""
    found = []
    for one in here:
        origin, arguments = get_origin(one), get_args(one)
        if origin is dict:
            found += _branches(arguments[1])
        elif origin in {list, tuple} and isinstance(part, int) and arguments:
            found += _branches(arguments[min(part, len(arguments) - 1)])
            if arguments[-1] is Ellipsis:
                found = _branches(arguments[0])
    return [one for one in found if one is not Ellipsis]


def _is_label(part: int | str) -> bool:
    """Say whether a part of a location names a branch of a union, or a key."""
    return isinstance(part, str) and bool(re.fullmatch(r"[a-z-]*\[.*\]", part))


def _labels(here: Iterable[Any]) -> set[str]:
    """Return the plain names by which branches of a union are told."""
    classes = [one for one in here if isinstance(one, type)]
    tags = [_tags(one) for one in classes if _is_model(one)]
    return {one.__name__ for one in classes}.union(*tags)


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the values by which a model of a discriminated union is told."""
    values = (get_args(one.annotation) for one in model.model_fields.values())
    return tuple(x for each in values for x in each if isinstance(x, str))


def _narrowed(here: list[Any], part: int | str) -> list[Any]:
    named = [
        one
        for one in here
        if _is_model(one)
        and (part in _tags(one) or re.search(rf"\b{one.__name__}\b", str(part)))
    ]
    return named or here


def sentence(
    complaint: ErrorDetails, place: FieldPlace, *, kinds: Collection[str] = ()
) -> str:
    """
    Say what is wrong and what would be right.

    ``kinds``: types of all complaints of this kind about the same place, of a union.
    """
    kind, value = complaint["type"], complaint["input"]
    if kind in _KINDS and (kind != "string_type" or len(kinds) > 1):
        return _other_kind(kinds or [kind], value, place)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = plain(Fraction(complaint["ctx"][key]))
        return f"{_shown(value)} is {words} {bound}{_in_unit(place)}"
    writers = (*_WRITERS.items(), ("", _as_it_is))
    write = next(write for start, write in writers if kind.startswith(start))
    return write(complaint, place)


def _unknown(complaint: ErrorDetails, place: FieldPlace) -> str:
    return unknown_field(str(complaint["loc"][-1]), place.siblings)


def _no_option(complaint: ErrorDetails, _place: FieldPlace) -> str:
    options = re.findall("'([^']*)'", complaint["ctx"]["expected"])
    return none_of(complaint["input"], options)


def _other_pattern(complaint: ErrorDetails, _place: FieldPlace) -> str:
    value = str(complaint["input"])
    slug = re.sub("[^a-z0-9_-]+", "-", value.lower()).strip("-_")
    words = f"{value!r} may hold lower-case letters, digits, - and _ alone"
    return f"{words}: write {slug}" if slug else words


def _no_truth(complaint: ErrorDetails, _place: FieldPlace) -> str:
    return f"{_shown(complaint['input'])} is neither true nor false"


def _infinite(complaint: ErrorDetails, place: FieldPlace) -> str:
    return f"{_shown(complaint['input'])} is not a finite number{_in_unit(place)}"


def _too_few(complaint: ErrorDetails, place: FieldPlace) -> str:
    context = complaint["ctx"]
    least = "min_length" in context
    number = context["min_length" if least else "max_length"]
    words = f"at {'least' if least else 'most'} {number} must stand here, not"
    return f"{words} {context['actual_length']}{_example(place)}"


def _no_name(complaint: ErrorDetails, _place: FieldPlace) -> str:
    return f"{complaint['loc'][-1]!r} is no name of a field: names are words"


def _as_it_is(complaint: ErrorDetails, _place: FieldPlace) -> str:
    return complaint["msg"].removeprefix("Value error, ")


def unknown_field(name: str, known: Sequence[str]) -> str:
    """
    Say that there is no such field, and which one may be meant.

    Examples
    --------
    >>> unknown_field("relaxCell", ["fmax", "relax_cell"])
    'no such field here: write relax_cell'
    >>> unknown_field("size", ["fmax", "steps"])
    'no such field here; check its spelling: there are fmax, steps'
    """
    for one in known:
        if _bare(one) == _bare(name):
            return f"no such field here: write {one}"
    close = get_close_matches(_bare(name), [_bare(one) for one in known], n=1)
    if not close:
        # Two words of which one is the field: relaxationSettings, min, max.
        close = [
            _bare(one)
            for one in known
            if len(name) > 2  # noqa: PLR2004 - a letter or two begin many names
            and (
                _bare(one).startswith(_bare(name)) or _bare(name).startswith(_bare(one))
            )
        ]
    guess = next((one for one in known if close and _bare(one) == close[0]), None)
    words = "no such field here; check its spelling"
    if guess is not None:
        return f"{words}: did you mean {guess}?"
    return f"{words}: there are {', '.join(known)}" if known else words


def none_of(value: object, options: Sequence[str]) -> str:
    """
    Say that something is none of the words that may stand somewhere.

    Examples
    --------
    >>> none_of("Sample", ["all", "sample"])
    "'Sample' is none of all, sample: write sample"
    """
    words = f"{_shown(value)} is none of {', '.join(options)}"
    bare = {_bare(one): one for one in options}
    guess = bare.get(_bare(str(value)))
    if guess is None and isinstance(value, str):
        close = get_close_matches(_bare(value), bare, n=1, cutoff=0.7)
        guess = bare[close[0]] if close else None
    return words if guess is None else f"{words}: write {guess}"


def _bare(name: str) -> str:
    """Strip a name of what people write in another way: case, dashes, underscores."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _shown(value: object) -> str:
    """Write what stands in the file, short."""
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else _as_yaml(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line


def _as_yaml(value: object) -> str:
    """Write a value as it stands in a line of YAML."""
    try:
        text = yaml.safe_dump(
            value,
            default_flow_style=True,
            width=10_000,
            sort_keys=False,
            allow_unicode=True,
        )
    except yaml.YAMLError:
        return str(value)
    return text.removesuffix("...\n").strip()


def _unit(place: FieldPlace) -> str | None:
    extra = place.field.json_schema_extra if place.field is not None else None
    return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else None


def _in_unit(place: FieldPlace) -> str:
    unit = _unit(place)
    return f" (in {unit})" if unit else ""


def _example(place: FieldPlace, before: str = ", like ") -> str:
    """Write the examples that a field declares, as far inside it as the place is."""
    found = list(place.field.examples or ()) if place.field is not None else []
    for _ in range(place.depth):
        found = [next(iter(_items(one)), None) for one in found]
    shown = [_as_yaml(one) for one in found if one is not None]
    if not shown:
        return ""
    name = "" if place.path[-1].isdigit() else f"{place.path[-1]}: "
    return before + " or ".join(f"{name}{one}" for one in shown)


def _items(value: object) -> Iterable[object]:
    """Return what a list or a mapping holds; nothing of what is neither."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _outer(place: FieldPlace) -> FieldPlace:
    """Return the place of the field that holds the place."""
    end = len(place.path) - place.depth
    return place._replace(path=place.path[:end], depth=0)


def _missing(complaint: ErrorDetails, place: FieldPlace) -> str:
    if isinstance(complaint["loc"][-1], int):
        return f"something is missing in this list{_example(_outer(place))}"
    options = get_args(place.field.annotation) if place.field is not None else ()
    if options and all(isinstance(one, str) for one in options):
        return f"this field is required: one of {', '.join(options)}"
    return f"this field is required{_example(place)}"


def _no_number(complaint: ErrorDetails, place: FieldPlace) -> str:
    value, whole = complaint["input"], complaint["type"].startswith("int")
    words = f"{_shown(value)} is not a {'whole number' if whole else 'number'}"
    advice = number_advice(value, unit=_unit(place), whole=whole)
    if advice is None and isinstance(value, float) and abs(value) > 1:
        advice = f"write {round(value)}"
    if advice is not None:
        return f"{words}: {advice}"
    return f"{words}{_in_unit(place)}{_example(_outer(place))}"


def _other_kind(kinds: Collection[str], value: object, place: FieldPlace) -> str:
    """Say that a list, a mapping or a text is wanted, with an example of it."""
    wanted = dict.fromkeys(_KINDS[one] for one in kinds)
    if list(wanted) == ["a list"]:
        if place.path[-1].isdigit():
            return f"each item is a list itself{_example(_outer(place))}"
        made = _as_list(value, place)
        if made is not None:
            return f"write a list: {place.path[-1]}: {made}"
    example = _example(place) or (_fields(place) if "a mapping" in wanted else "")
    words = f"write {' or '.join(wanted)}{example}"
    if value is None:
        optional = place.field is not None and not place.field.is_required()
        ending = ", or leave the line out" if optional else ""
        return f"nothing stands here: {words}{ending}"
    return words


def _fields(place: FieldPlace) -> str:
    """Name the fields of the mapping that is wanted."""
    models = _branches(place.field.annotation) if place.field is not None else []
    for _ in range(place.depth):
        models = _inside(models, 0) or _inside(models, "key")
    names = [name for one in models if _is_model(one) for name in one.model_fields]
    return f" with the fields {', '.join(names)}" if names else ""


def _as_list(value: object, place: FieldPlace) -> str | None:
    """Write a single value, or several in one text, as the list that is meant."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return _as_yaml([value])
    unit = _unit(place)
    advice = number_advice(value, unit=unit) or ""
    number = advice.removeprefix("write ").partition(" ")[0]
    if plain_number(number) and (unit is not None or plain_number(value)):
        return f"[{number}]"
    parts = [one for one in re.split(r"[,;]\s*|\s+", value.strip()) if one]
    if len(parts) > 1 and all(plain_number(one) for one in parts):
        return f"[{', '.join(parts)}]"
    return None if _example(place) else _as_yaml(parts)


def _no_branch(complaint: ErrorDetails, place: FieldPlace) -> str:
    """Say that a mapping does not name which of several kinds it is."""
    context, value = complaint["ctx"], complaint["input"]
    name = str(context["discriminator"]).strip("'")
    if "tag" in context:
        options = re.findall("'([^']*)'", context["expected_tags"])
        return f"{name} {none_of(context['tag'], options)}"
    words = f"it does not say its {name}"
    if isinstance(value, Mapping) and len(value) == 1:
        ((key, inner),) = value.items()
        if isinstance(inner, Mapping):
            return f"{words}: write {_as_yaml({name: key, **inner})}"
    return f"{words}{_example(place)}"


def _no_text(complaint: ErrorDetails, place: FieldPlace) -> str:
    value, example = complaint["input"], _example(place)
    if value is None:
        return f"nothing stands here: write a word{example}"
    if isinstance(value, Mapping | list | tuple):
        return f"write one word, not several{example}"
    if isinstance(value, bool):
        return (
            f"{_shown(value)} is no text (yes, no, on, off are true and false, too): "
            "put the word in quotes"
        )
    return f"{_shown(value)} is no text: put it in quotes, like '{value}'"


_WRITERS: dict[str, Callable[[ErrorDetails, FieldPlace], str]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "float": _no_number,
    "int": _no_number,
    "enum": _no_option,
    "literal_error": _no_option,
    "union_tag": _no_branch,
    "string_type": _no_text,
    "string_pattern": _other_pattern,
    "bool": _no_truth,
    "finite_number": _infinite,
    "too_": _too_few,
    "invalid_key": _no_name,
}
"""Beginning of a type of complaint → what writes its sentence."""
