"""What other systems ask for: text is UTF-8 whatever the locale, any terminal takes the output, nothing needs POSIX."""

import ast
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from pipeline import make_clone

LIBRARY, STAGES, REST = ("clasnet",), ("stages",), ("benchmarks", "tests", "examples")
FILES = sorted(path for folder in LIBRARY + STAGES + REST for path in (ROOT / folder).rglob("*.py"))
NARROW = {  # a system that is not set to UTF-8, and a terminal with few letters
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "cp1252",
    "PYTHONPATH": str(ROOT),
}


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def text_as_the_system_has_it(node, newlines):
    """Does the expression ``node`` read or write text in the locale's encoding, or, if ``newlines``, with its ends of
    lines? Then it would not be the same bytes everywhere.
    """
    if isinstance(node, ast.Dict):  # of arguments to subprocess
        given = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if is_text(key)}
        return is_true(given.get("text")) and "encoding" not in given
    if not isinstance(node, ast.Call):
        return False
    given = {word.arg: word.value for word in node.keywords}
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    if name in ("read_text", "write_text"):
        return "encoding" not in given or (newlines and name == "write_text" and "newline" not in given)
    if name in ("open", "fdopen"):
        place = 0 if isinstance(node.func, ast.Attribute) and name == "open" else 1  # path.open(mode), open(path, mode)
        mode = given.get("mode", node.args[place] if len(node.args) > place else ast.Constant("r"))
        return is_text(mode) and set(mode.value) <= set("rwax+t") and "encoding" not in given
    return (is_true(given.get("text")) or is_true(given.get("universal_newlines"))) and "encoding" not in given


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_true(node):
    return isinstance(node, ast.Constant) and node.value is True


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_text_is_the_same_bytes_everywhere(path):
    newlines = name_of(path).split("/")[0] in LIBRARY + STAGES  # what they write is hashed
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if text_as_the_system_has_it(node, newlines)]


IMPORT_ALL = """
import builtins, importlib, json, os, signal, sys

POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
own, plain = json.loads(sys.argv[1]), builtins.__import__

def without_posix(name, globals=None, *rest):
    if name.partition(".")[0] in POSIX and (globals or {}).get("__name__", "").partition(".")[0] in own["roots"]:
        raise ModuleNotFoundError(f"No module named {name!r}")
    return plain(name, globals, *rest)

for module in own["first"]:  # what others need of POSIX is their affair
    importlib.import_module(module)
for name in ("fork", "getuid", "killpg", "sched_getaffinity", "statvfs"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "SIGKILL", "SIGXFSZ", "alarm", "setitimer"):
    if hasattr(signal, name):
        delattr(signal, name)
builtins.__import__ = without_posix
for module in own["modules"]:
    importlib.import_module(module)
print(len(own["modules"]))
"""


def test_every_module_imports_without_posix(tmp_path):
    paths = [path for path in FILES if path.name not in ("__init__.py", "conftest.py")]
    modules = [path.stem if path.parent.name == "tests" else name_of(path)[:-3].replace("/", ".") for path in paths]
    first = ["torch", "pandas", "matplotlib.pyplot", "dvclive", "gdown", "hypothesis", "pytest", "filelock"]
    own = {"modules": modules, "first": first, "roots": sorted({module.partition(".")[0] for module in modules})}
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(own)]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.split() == [str(len(modules))], done.stderr[-2000:]


def narrow(folder, *arguments):
    """What a module prints in ``folder`` on a system that is not set to UTF-8; it has to end well."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | NARROW, capture_output=True)
    assert done.returncode == 0, done.stderr.decode("cp1252", "replace")
    return done.stdout.decode("cp1252")


@pytest.mark.parametrize(
    "command", ["clasnet.evaluate", "clasnet.extract", "clasnet.localize", "benchmarks.fuzz", "benchmarks.kills"]
)
def test_help_on_any_terminal(tmp_path, command):
    assert "usage: " in narrow(tmp_path, command, "--help")


def test_evaluation_on_any_terminal(tmp_path):
    truth = {"a": {"subset": "test", "duration": 9, "annotations": [{"label": "Tür ✓", "segment": [0, 2]}]}}
    found = {"a": [{"label": "Tür ✓", "segment": [0, 2], "score": 1}]}
    for name, content in (("truth", {"database": truth}), ("found", {"results": found})):
        (tmp_path / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    files = ["--ground-truth", "truth", "--predictions", "found", "--subset", "test", "--tiou", "0.5", "--per-class"]
    assert "Tür \\u2713" in narrow(tmp_path, "clasnet.evaluate", *files)


def test_stages_on_any_system(tmp_path):
    """With letters in params.yaml that few encodings know."""
    make_clone(tmp_path)
    params = tmp_path / "params.yaml"
    params.write_text(f"# ✓ ü\n{params.read_text(encoding='utf-8')}", encoding="utf-8")
    for stage in (["check"], ["features", "thumos14"], ["card", "thumos14"]):
        narrow(tmp_path, f"stages.{stage[0]}", *stage[1:])
    assert (tmp_path / "reports/data/thumos14/README.md").exists()
