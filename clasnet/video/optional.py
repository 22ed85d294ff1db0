"""Packages that only this room needs, imported when they are used."""

from importlib import import_module

from clasnet.errors import InputError


def optional(name):
    """The module ``name``; ``InputError`` if it cannot be imported."""
    try:
        return import_module(name)
    except ImportError as error:  # not there, or a library that it needs is not
        raise InputError(f"reading videos needs {name} ({error}): pip install 'clasnet[video]'") from None
