"""YAML files against a schema: the first wrong value gives one line, with file, key, value and what is allowed."""

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class Section(BaseModel):
    """A block of a parameter file: unknown keys are errors, because they are misspelt ones."""

    model_config = ConfigDict(extra="forbid")


def read_checked(path, schema):
    """The content of the YAML file ``path`` as the pydantic model ``schema``. Raises ``ValueError`` with one line."""
    try:
        return schema.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; run the stages from the root of the repository") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ValueError(f"{path}: {one_line(error.errors()[0], schema)}") from None


def one_line(error, schema):
    """What pydantic says of the first wrong value, as "key = value: what is allowed"."""
    key = ".".join(str(part) for part in error["loc"])
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
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"
