"""Code as a dependency: which modules of this repository a stage runs, and a hash of each that no comment moves.

Imports are followed in the sources, without importing anything. A network is imported by its name, so the caller names
its module.
"""

import ast
import hashlib
import tokenize
from functools import cache
from pathlib import Path

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_of(modules):
    """Name to hash of every module of this repository that the ``modules`` import, themselves included, sorted by
    name.
    """
    found, seen, open_ones = {}, set(), list(modules)
    while open_ones:
        name = open_ones.pop()
        if name not in seen and (path := path_of(name)):
            with tokenize.open(path) as file:  # in the encoding that its first lines name
                found[name], imported = read_module(name, path.name == "__init__.py", file.read())
            open_ones += imported
        seen.add(name)
    return dict(sorted(found.items()))


def path_of(name):
    """The file of the module ``name`` below the working directory, or None if it lies elsewhere."""
    path = Path(*name.split("."))
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


@cache
def read_module(name, is_package, text):
    """The hash of the syntax tree, without docstrings, of the module ``name`` of source ``text``, and the names of
    the modules that it may import.
    """
    tree = ast.parse(text, filename=name)
    nodes = list(ast.walk(tree))
    imported = imports(name, nodes, is_package)
    for node in nodes:
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16], imported


def imports(name, nodes, is_package):
    """Names of modules, this repository's or others', that the module ``name`` imports in any of the ``nodes`` of its
    syntax tree.

    The library's own package is left out: it only lists where public names are, and a name counts as its home.
    """
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(name, node, is_package)
            found += [base, *(home_of(base, alias.name) for alias in node.names)]
    return [package for each in found for package in with_parents(each) if package != "clasnet"]


def absolute(name, node, is_package):
    """The module that ``from ... import`` names in the module ``name``."""
    if not node.level:
        return node.module
    above = name.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
    return ".".join([*above, *filter(None, [node.module])])


def with_parents(name):
    """The module ``name`` and the packages around it, whose __init__ runs before it."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def home_of(base, name):
    """The module that ``from base import name`` loads: a submodule, or the home of a public name of the library."""
    if base == "clasnet":
        return public_names().get(name, f"clasnet.{name}")
    return f"{base}.{name}"


@cache
def public_names():
    """Public name to module, as clasnet/__init__.py lists them."""
    import clasnet

    return dict(clasnet._HOME)
