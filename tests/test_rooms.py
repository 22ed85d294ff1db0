"""The arrows between the parts: what may import what, in the library, its commands and the stages."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT

# A room imports from itself and from those before it.
ROOMS = (
    "errors",
    "files",
    "reading",
    "command",
    "data",
    "localization",
    "models",
    "training",
    "inference",
    "evaluation",
    "video",
    "commands",
)
COMMANDS = ("clasnet.evaluate", "clasnet.extract", "clasnet.localize")
LIBRARY = sorted((ROOT / "clasnet").rglob("*.py"))
STAGES = sorted((ROOT / "stages").rglob("*.py"))


def module_of(path):
    """The name of the module in the file ``path``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path):
    """Names of all that the file ``path`` imports, anywhere in it: modules, or names ``module.name`` within one."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            source = ".".join([*parts, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif is_import_call(node):
            yield node.args[0].value


def is_import_call(node):
    """Is it ``import_module("name")``?"""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    return ast.unparse(node.func) in ("import_module", "importlib.import_module", "__import__")


def room_of(name):
    """The position in ROOMS of what is called ``name``; None for the package itself."""
    if any(name == command or name.startswith(f"{command}.") for command in COMMANDS):
        return ROOMS.index("commands")
    _, room, *_ = *name.split("."), ""
    return ROOMS.index(room) if room else None


def stage_modules():
    """The modules that dvc.yaml runs."""
    return set(re.findall(r"python -m (stages(?:\.\w+)+)", (ROOT / "dvc.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", LIBRARY, ids=module_of)
def test_a_room_imports_only_from_those_below(path):
    own = room_of(module_of(path))
    names = [name for name in imported_modules(path) if name.split(".")[0] == "clasnet"]
    if own is None:
        assert not names  # the package's names are strings, imported when they are first used
    else:
        assert not [name for name in names if room_of(name) is None or room_of(name) > own]


@pytest.mark.parametrize("path", LIBRARY, ids=module_of)
def test_the_library_knows_no_stage_and_no_dvc(path):
    roots = {name.split(".")[0] for name in imported_modules(path)}
    assert not roots & {"stages", "dvc", "dvclive", "tests", "benchmarks", "examples"}


def test_the_stages_of_the_pipeline_are_modules():
    assert stage_modules() and stage_modules() <= set(map(module_of, STAGES))


@pytest.mark.parametrize("path", STAGES, ids=module_of)
def test_no_module_of_the_stages_imports_a_stage(path):
    names = [name for name in imported_modules(path) if name.split(".")[0] == "stages"]
    reached = {name for name in names if {name, name.rpartition(".")[0]} & stage_modules()}
    assert not reached


def test_what_the_arrows_are_read_from(tmp_path, monkeypatch):
    """Imports within functions count, and relative ones and calls of ``import_module``."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "clasnet/data/store.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import clasnet.files\nfrom . import features\nfrom ..models import base\n"
        "def late():\n    from clasnet.models.base import Output\n    import_module('stages.train')\n",
        encoding="utf-8",
    )
    assert set(imported_modules(path)) == {
        "clasnet.files",
        "clasnet.data.features",
        "clasnet.models.base",
        "clasnet.models.base.Output",
        "stages.train",
    }


def test_what_needs_no_pytorch_does_not_load_it():
    """Start-up is most of what these take."""
    names = ["params", "check", "tables", "card", "control", "collect", "report", "features"]
    show = f"import sys\nfor name in {names}:\n __import__(f'stages.{{name}}')\n print(name, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], cwd=ROOT, capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.splitlines() == [f"{name} False" for name in names]
