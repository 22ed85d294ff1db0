"""What is installed, and that each part of it asks only for what it needs."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from conftest import ROOT

BUILD = "import sys, setuptools.build_meta as b; out = sys.argv[1]; b.build_sdist(out); b.build_wheel(out)"
MODULES = {
    path.relative_to(ROOT).as_posix() for kind in ("py", "json") for path in (ROOT / "clasnet").rglob(f"*.{kind}")
}
WITHOUT = """
import runpy, sys

HIDDEN = sys.argv.pop(1).split(",")

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""
REST = "torch,safetensors,scipy,matplotlib,tqdm,gdown,requests,filelock,pandas,pydantic,yaml,dvc,dvclive,av,cv2"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist and the wheel of the files that Git knows, or would take."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0"):
        if name and not name.startswith(("reports/", "tests/data/")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, capture_output=True)
    return out


def test_the_wheel_is_the_library_and_nothing_else(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        entries = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        commands = wheel.read(entries).decode()
    assert names == MODULES
    for name in ("evaluate", "extract", "localize"):
        assert f"clasnet-{name} = clasnet.{name}:main" in commands


def test_the_sdist_is_what_builds_it_and_what_tells_of_it(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames() if not sdist.getmember(name).isdir()}
    made = {name for name in names if name.startswith("clasnet.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    told = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "MANIFEST.in", "pyproject.toml"}
    assert names - made == MODULES | told


def without(names, code, *arguments):
    """Run the Python ``code`` where the packages ``names`` are not installed."""
    command = [sys.executable, "-c", WITHOUT + code, names, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")


def test_evaluation_needs_no_more_than_the_package_does(tmp_path):
    run = "runpy.run_module('clasnet.evaluate', run_name='__main__')"
    assert "usage: " in without(REST, run, "--help").stdout
    truth = {"a": {"subset": "test", "duration": 9, "annotations": [{"label": "x", "segment": [0, 2]}]}}
    for name, content in (
        ("truth", {"database": truth}),
        ("found", {"results": {"a": [{"label": "x", "segment": [0, 2], "score": 1}]}}),
    ):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    files = ["--ground-truth", str(tmp_path / "truth"), "--predictions", str(tmp_path / "found"), "--subset", "test"]
    assert "100.00" in without(REST, run, *files).stdout


def test_what_needs_more_says_what_to_install():
    done = without("torch", "from clasnet import detection_ap\nfrom clasnet import CLASNet")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: CLASNet needs torch, which is not installed: pip install 'clasnet[torch]'"
    )
    for hidden in ("torch", "tqdm"):
        done = without(hidden, "from clasnet.localize import main", "--help")
        assert done.stderr == f"clasnet.localize: needs {hidden}: pip install 'clasnet[torch]'\n"


def test_every_baseline_on_every_data_set_is_an_artifact():
    """DVC makes no matrix of artifacts, so dvc.yaml lists them."""
    params, pipeline = (
        yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) for name in ("params.yaml", "dvc.yaml")
    )
    first = "${seeds[0][0]}"
    assert {name: artifact["path"] for name, artifact in pipeline["artifacts"].items()} == {
        f"{dataset}-{baseline}": f"models/{dataset}/{baseline}/clasnet/from{first}/seed{first}.pt"
        for dataset in params["datasets"]
        for baseline in params["baselines"]
    }
