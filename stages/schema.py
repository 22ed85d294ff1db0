"""YAML files against a schema: the first wrong value gives one line, with file, key, value and what is allowed."""

import re
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from clasnet.data.datasets import benchmarks
from clasnet.data.store import USUAL
from clasnet.errors import InputError, shown

MOST_BRACKETS = 1000
MOST_NODES = 100_000  # with aliases written out: of nine lists of nine aliases each there are millions


class Section(BaseModel):
    """A block of a parameter file: unknown keys are errors, because they are misspelt ones, and so is infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def truth_is_no_number(cls, value, info):
        if cls.model_fields[info.field_name].annotation is not bool and holds_truth(value):
            raise ValueError("input should be neither true nor false, which YAML also writes yes, no, on and off")
        return value


def holds_truth(value):
    """Is ``value`` true or false, which pydantic would take for 1 and 0, or a list that holds one?"""
    return isinstance(value, bool) or (isinstance(value, list) and any(map(holds_truth, value)))


class Origin(Section):
    """What a snippet's features are of: the ranges of :class:`clasnet.data.store.Origin`."""

    rate: Annotated[float, Field(gt=0, le=1000)] = USUAL.rate
    stride: Annotated[int, Field(ge=1, le=10_000)] = USUAL.stride
    crops: Annotated[int, Field(ge=1, le=1000)] | None = USUAL.crops
    streams: Literal[1, 2] = USUAL.streams


def known_dataset(name):
    """``name``, which must be that of a data set."""
    if name not in benchmarks():
        raise ValueError(f"must be one of {', '.join(benchmarks())}, which clasnet/data/datasets.json has")
    return name


Dataset = Annotated[str, AfterValidator(known_dataset)]


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, to which a key that is there twice is an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = f"the key {shown(key.value)} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, line, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node):
        """A number that every version of YAML reads as the same: 010 is 8 here and 10 to DVC, 1:30 is 90 here."""
        if re.match(r"[-+]?0\d+$|.*:", node.value):
            line = f"{node.value} is another number in each version of YAML; write it without leading zeros and colons"
            raise yaml.constructor.ConstructorError(None, None, line, node.start_mark)
        if node.tag.endswith(":float"):
            return self.construct_yaml_float(node)
        return self.construct_yaml_int(node)

    def get_single_node(self):
        node = super().get_single_node()
        if node and written_out(node, {}) > MOST_NODES:
            raise RecursionError
        return node


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_number)
Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_number)


def written_out(node, known):
    """How many nodes ``node`` is with its aliases written out. ``known``: those that are counted, by their id. One that
    holds itself raises ``RecursionError``.
    """
    if id(node) not in known:
        known[id(node)] = None  # until all that is in it is counted
        parts = [] if isinstance(node, yaml.ScalarNode) else node.value
        inside = [part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(written_out(part, known) for part in inside)
    if known[id(node)] is None:
        raise RecursionError
    return known[id(node)]


def read_checked(path, schema):
    """The content of the YAML file ``path`` as the pydantic model ``schema``. Raises ``InputError`` with one line."""
    content = _read_yaml(path)
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {one_line(error.errors()[0], schema)}") from None


def _read_yaml(path):
    try:
        text = path.read_text(encoding="utf-8")
        if text.count("[") + text.count("{") > MOST_BRACKETS:  # PyYAML would take minutes to find them nested
            raise RecursionError
        return yaml.load(text, Loader)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; run the stages from the root of the repository") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: not YAML of use here: nested too deep, too long, or within itself") from None
    except (ValueError, TypeError, AttributeError) as error:  # what PyYAML makes of odd dates, keys and letters
        raise InputError(f"{path}: not valid YAML: {error}") from None


def one_line(error, schema):
    """What pydantic says of the first wrong value, as "key = value: what is allowed"."""
    key = ".".join(str(part) for part in error["loc"]) or "the whole file"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        parent = schema
        for part in error["loc"][:-1]:
            field = getattr(parent, "model_fields", {}).get(part)
            parent = field.annotation if field else None
        known = f"; known here: {', '.join(parent.model_fields)}" if getattr(parent, "model_fields", None) else ""
        return f"{key}: unknown key{known}"
    if error["type"] == "missing":
        return f"{key}: is missing"
    return f"{key} = {shown(error['input'])}: {message[0].lower()}{message[1:]}"
