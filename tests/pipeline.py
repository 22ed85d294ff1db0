"""A temporary clone of the repository with a tiny profile, for the tests that run its stages."""

import os
import re
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, with_example

from stages import check

BIN = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
ENVIRONMENT = os.environ | {"PATH": BIN, "COLUMNS": "200"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode beside the sources must not make a stage run again
IMPORT_TIMES = {"PYTHONPROFILEIMPORTTIME": "1"}  # makes Python say what it imports


def edit(path, change):
    """Write ``change(content)`` to the YAML file ``path``."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(change(content), sort_keys=False), encoding="utf-8")


def tiny_params(params):
    """The smallest run that still goes through every stage."""
    params |= {"datasets": ["thumos14"], "baselines": ["acrnet"], "seeds": [[0, 1]]}
    params["study"] |= {"rows": ["C"], "layers": [3], "heads": [4]}  # with these heads it is CLASNet itself
    params["fcsm"] |= {"layers": 2, "heads": 4}
    params["evaluate"]["resamples"] = 100
    return params


def tiny_profile(profile):
    """The smallest twins, and of THUMOS14 the shortest trainings."""
    for data in profile["data"].values():
        data["twin"] |= {"groups": 2, "classes": 3, "train_videos": 8, "test_videos": 6, "snippets": [30, 40]}
    profile["data"]["thumos14"]["twin"]["width"] = 8
    for baseline, trainings in profile["train"].items():
        model = {"width": 8} if baseline == "acrnet" else {"width": 8, "pool": 1}
        trainings["thumos14"] |= {"steps": 4, "batch_size": 8, "segments": 20, "model": model}
    return profile


def with_tiny_example(profile):
    """A tiny ``profile`` with the settings of the example baseline as its guide gives them, at that size."""
    profile = with_example(profile)
    tiny, settings = profile["train"]["acrnet"]["thumos14"], profile["train"]["basnet"]["thumos14"]
    settings |= tiny | {"model": settings["model"] | {"width": tiny["model"]["width"]}}
    return profile


def make_clone(folder, params=tiny_params, profile=tiny_profile):
    """The files of the repository, as they are now and without its results, in the new Git repository ``folder``."""
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    edit(folder / "params.yaml", params)
    edit(folder / "profiles/demo.yaml", profile)
    shorten(folder / "stages/complexity.py", "SNIPPETS = 750", "SNIPPETS = 50")  # Table 5 takes as long as all others
    git(folder, "init", "-q")
    git(folder, "config", "user.email", "test@example.org")
    git(folder, "config", "user.name", "test")
    commit(folder, "tiny")
    return folder


def shorten(source, old, new):
    """Put ``new`` in place of ``old``, which must be there once, in a Python file."""
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    source.write_text(text.replace(old, new), encoding="utf-8")


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, message):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def run(folder, *command, good=True, environment=None):
    """Run ``command`` in ``folder``, with more in the ``environment``; its output, standard error included."""
    how = {"cwd": folder, "env": ENVIRONMENT | (environment or {}), "encoding": "utf-8"}
    done = subprocess.run(command, **how, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode == 0) is good, done.stdout
    return done.stdout


def dvc(folder, *arguments, **how):
    return run(folder, "dvc", *arguments, **how)


def stage(folder, name, *arguments, **how):
    return run(folder, sys.executable, "-m", f"stages.{name}", *arguments, **how)


def stage_here(folder, name, *arguments):
    """As :func:`stage`, but in this process, which has imported what every one of its own would have to. The code is
    that of the repository, whatever is changed in that of ``folder``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", [f"{name}.py", *arguments])
        check.hashes.cache_clear()  # of the sources in another folder
        import_module(f"stages.{name}").main()


def stages_run(output):
    """The stages that DVC ran, by its ``output``, without `check`, which looks at every change."""
    return set(re.findall(r"Running stage '([^']+)'", output)) - {"check"}


def trained(output):
    """Those of them that train."""
    return {name for name in stages_run(output) if name.startswith("train")}


def commands_run(output):
    """The commands that DVC ran, by its ``output``: module, arguments and output of each."""
    _, *parts = re.split(r"^> python -m (\S+)(.*)$", output, flags=re.MULTILINE)
    return zip(parts[::3], map(str.split, parts[1::3]), parts[2::3], strict=True)


def code_loaded(output):
    """The modules of this repository that were imported, by the ``output`` of a run with ``IMPORT_TIMES``."""
    return set(re.findall(r"^import time: .*\| +((?:clasnet|stages|examples)\.[\w.]+)$", output, re.MULTILINE))


def contents(folder):
    """Relative path to bytes of every file in ``folder``."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def until(condition, seconds=60):
    """Wait until ``condition()`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
