"""The one door for JSON from outside: every file passes a schema, and what is wrong is named with file and place.

A schema is a type of msgspec: structures, ``list[...]``, ``dict[str, ...]``, numbers and texts. A value that is more
than one number or text, or of a narrower range, is ``Annotated`` with a ``Meta`` whose ``description`` says what is
expected.
"""

import codecs
import json
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from clasnet.errors import InputError, shown

# A control character would move the terminal that prints it, and NumPy drops a NUL at the end.
# A blank at an end, which nobody sees, makes it another name.
_NAME = r"^(?!\s)[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+(?<!\s)\Z"
_NAMED = "a name without control characters, or blanks at its ends"
Name = Annotated[str, msgspec.Meta(pattern=_NAME, description=_NAMED)]


def check_names(names, place):
    """Raise ``InputError`` for the first of ``names`` that is no :data:`Name`; ``place`` comes before it."""
    for name in names:
        if not fits(name, Name):
            raise InputError(f"{place} {shown(name)}, expected {expected(Name)}")


def check_settings(settings, known, place=""):
    """Raise ``InputError`` for the first of ``settings`` that is not ``known``, name to range, or outside its range.

    ``place`` comes before its name in the line.
    """
    for key, value in settings.items():
        if key not in known:
            raise InputError(f"{place}{key}: unknown setting {key!r}; known here: {', '.join(known)}")
        if not fits(value, known[key]):
            plain = ", of Python and not of NumPy" * type(value).__module__.startswith("numpy")
            raise InputError(f"{place}{key} = {shown(value)}: must be {expected(known[key])}{plain}")


def read_json(path, schema, keys=None):
    """The content of the JSON file ``path`` as the type ``schema``. Keys that it does not know are skipped.

    Raises ``FileNotFoundError``, or ``InputError`` with one line that names the file, the place and what is expected
    there. A key that an object holds twice is an error: other readers take the last one and say nothing. ``keys``
    counts those that a value of the schema was read from: as many colons in the file say quickly that none is there
    twice.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    return parse_json(content.removeprefix(codecs.BOM_UTF8), schema, path, keys)  # as some editors write it


def parse_json(content, schema, path, keys=None):
    """As :func:`read_json`, of the bytes ``content``; ``path`` is what they are called."""
    try:
        value = msgspec.json.decode(content, type=schema)
        if keys is None or keys(value) != content.count(b":"):
            json.loads(content, object_pairs_hook=_unique)
        return value
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_complaint(content, schema, error)}") from None


def checked(content, schema, path):
    """Plain ``content`` (mappings, lists, numbers, texts) as the type ``schema``; raises as :func:`read_json`."""
    try:
        return msgspec.convert(content, schema)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{path}: {first_misfit(content, schema) or error}") from None


def _complaint(content, schema, error):
    """What is wrong with ``content``, of which a fast reader said ``error``, in words."""
    if content.startswith(b"\x1f\x8b"):
        return "not JSON: it is compressed; unpack it with gunzip"
    if json.detect_encoding(content) != "utf-8":
        return f"not JSON, which is text in UTF-8; this looks like {json.detect_encoding(content).upper()}"
    try:
        plain = json.loads(content, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_NoNumber)
    except json.JSONDecodeError as wrong:
        return f"not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}"
    except UnicodeDecodeError:
        return "not JSON, which is text"
    except RecursionError:
        return "not JSON of use here: nested too deep"
    except _Twice as twice:
        return str(twice)
    except ValueError as wrong:  # an integer of too many digits
        return f"not JSON: {wrong}"
    return first_misfit(plain, schema) or f"not JSON: {error}"


class _Twice(ValueError):
    """A key that is there twice."""


def _unique(pairs):
    """The object of the key-value ``pairs``."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(f"an object has the key {shown(next(key for key in keys if keys.count(key) > 1))} twice")
    return found


class _NoNumber(str):
    """NaN and infinities, which are not JSON, as what fits no schema."""

    def __repr__(self):
        return str(float(self))


def _finite(text):
    number = float(text)
    return number if isfinite(number) else _NoNumber(text)


def first_misfit(value, schema, parent="", key=""):
    """The first place in plain ``value`` that does not fit ``schema``, and what is expected there; empty if all fits.

    The place is written as in Python, ``results['a'][3]``: that of the ``parent``, and the ``key`` in it.
    """
    here = (parent + key).removeprefix(".")
    if fits(value, schema):
        return ""
    absent = missing(value, schema)
    if absent:
        return f"{here or 'the file'}: has no {absent!r}"
    if strange := unknown(value, schema):
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(schema))
        return f"{here or 'the file'}: unknown key {shown(strange)}; known here: {known}"
    for name, part, part_schema in parts(value, schema):
        if line := first_misfit(part, part_schema, here, name):
            return line
    if isinstance(value, dict) and get_origin(_without_none(schema)) is dict:
        return ""  # it is a key of it
    if key.startswith(".") and not _is_container(schema):
        return f"{parent or 'the file'}: {key[1:]} {shown(value)}, expected {expected(schema)}"
    return f"{here or 'the file'}: {'' if _is_container(schema) else f'{shown(value)}, '}expected {expected(schema)}"


def fits(value, schema):
    """Does plain ``value`` pass ``schema``?"""
    try:
        msgspec.convert(value, schema)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError):  # the last one of a lone surrogate
        return False
    return True


def missing(value, schema):
    """The first required field of the structure ``schema`` that ``value`` lacks; empty if it is none, or whole."""
    if not _is_structure(schema):
        return ""
    required = [field.encode_name for field in msgspec.structs.fields(schema) if field.required]
    return next((name for name in required if not isinstance(value, dict) or name not in value), "")


def unknown(value, schema):
    """The first key of ``value`` that the structure ``schema`` forbids; empty if there is none, or it forbids none."""
    if not isinstance(value, dict) or not _is_structure(schema) or not schema.__struct_config__.forbid_unknown_fields:
        return ""
    known = {field.encode_name for field in msgspec.structs.fields(schema)}
    return next((key for key in value if key not in known), "")


def parts(value, schema):
    """How the parts of plain ``value`` are written, they themselves, and the schema of each."""
    schema = _without_none(schema)
    if _is_structure(schema) and isinstance(value, dict):
        hints = get_type_hints(schema, include_extras=True)
        return [(f".{name}", value[name], hint) for name, hint in hints.items() if name in value]
    if get_origin(schema) is dict and isinstance(value, dict):
        return [(f"[{shown(key)}]", part, get_args(schema)[1]) for key, part in value.items()]
    if get_origin(schema) is list and isinstance(value, list):
        return [(f"[{i}]", part, get_args(schema)[0]) for i, part in enumerate(value)]
    return []


UNIONS = (Union, UnionType)
NAMES = {
    str: "text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def expected(schema):
    """What ``schema`` expects, in words."""
    if get_origin(schema) is Annotated:
        said = (meta.description for meta in schema.__metadata__ if meta.description)
        return next(said, None) or f"{expected(get_args(schema)[0])}, of {schema.__metadata__[0]}"
    if get_origin(schema) is Literal:
        return f"one of {', '.join(map(str, get_args(schema)))}"
    if get_origin(schema) in UNIONS:
        return expected(_without_none(schema)) + " or null" * (type(None) in get_args(schema))
    return NAMES.get(get_origin(schema) or schema, "an object")


def _is_container(schema):
    schema = _without_none(schema)
    return get_origin(schema) in (list, dict) or _is_structure(schema)


def _is_structure(schema):
    return isinstance(schema, type) and issubclass(schema, msgspec.Struct)


def _without_none(schema):
    """``X`` of a schema ``X | None`` or ``X | UnsetType``, and any other as it is."""
    return get_args(schema)[0] if get_origin(schema) in UNIONS else schema
