"""Stages as jobs in clones of their own: on one cache, through a remote, through Slurm. The bytes are those of one
machine, and who brings them together trains nothing.
"""

import json
import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml
from conftest import ROOT, needs_posix
from pipeline import (
    ENVIRONMENT,
    commit,
    contents,
    dvc,
    edit,
    make_clone,
    run,
    stages_run,
    tiny_params,
    tiny_profile,
    trained,
    until,
)
from test_study import tiny_study

from clasnet.files import write_json

pytestmark = needs_posix
CELL = "evaluate@thumos14-acrnet"
TRAININGS = [f"train@thumos14-acrnet-{variant}-seeds0" for variant in ("baseline", "clasnet")]
PATIENCE = 1200  # seconds, of a machine that has much else to do
ROLLING = "models/.rolling/thumos14/acrnet/clasnet/from0/seed0.pt"  # of the second of them


def few_stages(params):
    params = tiny_params(params) | {"seeds": [[0]]}
    params["study"] |= {"rows": ["B"], "layers": [1], "heads": [2]}
    return params


def trainings_of_seconds(profile):
    profile = tiny_profile(profile)
    profile["train"]["acrnet"]["thumos14"]["steps"] = 200
    return profile


def new_clone(factory):
    return make_clone(factory.mktemp("clone"), few_stages, trainings_of_seconds)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Where a machine that shares no disk leaves what it made."""
    return str(tmp_path_factory.mktemp("storage"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory, storage):
    """What one machine made in one clone, of one cell; its trainings are in the storage, too."""
    clone = new_clone(tmp_path_factory)
    dvc(clone, "remote", "add", "--default", "storage", storage)
    assert trained(dvc(clone, "repro", "--pull", *TRAININGS)) == set(TRAININGS)
    dvc(clone, "push", "--run-cache")
    assert stages_run(dvc(clone, "repro", CELL)) == {CELL}
    return clone


@pytest.fixture
def head(tmp_path_factory):
    """Where jobs are sent from."""
    return new_clone(tmp_path_factory)


def locked(clone):
    """Hashes of what every stage read and wrote, but for milliseconds and the page that shows them."""
    stages = yaml.safe_load((clone / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: stage for name, stage in stages.items() if name not in ("complexity", "report")}


def test_two_jobs_at_once_of_which_one_is_killed(head, alone):
    stale = run(head, "cluster/stale", "dvc.yaml").splitlines()
    assert {*TRAININGS, CELL, "collect"} <= set(stale) and not {"check", "features@thumos14"} & set(stale)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    first, second = (subprocess.Popen(["cluster/job", name], cwd=head, env=ENVIRONMENT, **quiet) for name in TRAININGS)
    clone = head / "cluster/clones" / TRAININGS[1]
    until((clone / ROLLING).exists, PATIENCE)
    second.send_signal(signal.SIGTERM)
    assert f"failed to reproduce '{TRAININGS[1]}'" in second.communicate()[0] and second.returncode
    assert (clone / ROLLING).exists() and first.wait() == 0

    (clone / ".git/index.lock").touch()  # as a kill may leave them; on another machine the number is somebody else's
    entry = {"pid": os.getpid(), "cmd": "dvc repro"}
    write_json(clone / ".dvc/tmp/rwlock", {"write": {str(clone / "data/thumos14"): entry}, "read": {}})
    run(head, "cluster/job", TRAININGS[1])
    assert not (clone / ROLLING).exists()

    assert stages_run(dvc(head, "repro", CELL)) == {CELL}
    assert locked(head) == locked(alone)
    assert contents(head / "predictions") == contents(alone / "predictions")
    assert not set(TRAININGS) & set(run(head, "cluster/stale", "dvc.yaml").splitlines())


def test_what_is_not_committed_is_named_and_no_job_is_made(head):
    (head / "examples/mine.py").touch()
    (head / "dvc.lock").write_text("what a run left", encoding="utf-8")
    refused = run(head, "cluster/stale", "dvc.yaml", good=False)
    assert refused == "cluster/stale: jobs work on a commit; commit or remove what is in none: examples/mine.py\n"


REFUSED = [
    (["stale", "nosuch/dvc.yaml"], "cluster/stale: nosuch/dvc.yaml: must be dvc.yaml or study/dvc.yaml\n"),
    (["stale"], "cluster/stale: : must be dvc.yaml or study/dvc.yaml\n"),
    (["job", "check", "nosuchcommit"], "cluster/job: nosuchcommit: no such commit\n"),
]


@pytest.mark.parametrize(("command", "line"), REFUSED)
def test_what_is_no_pipeline_and_no_commit_is_refused_before_any_work(command, line):
    script, *arguments = command
    assert run(ROOT, f"cluster/{script}", *arguments, good=False) == line
    assert not (ROOT / "cluster/clones/check").exists()


def test_without_a_shared_disk(head, alone, storage):
    dvc(head, "remote", "add", "--default", "storage", storage)
    assert stages_run(dvc(head, "repro", "--pull", CELL)) == {CELL}
    assert locked(head) == locked(alone)


def test_the_studys_trials_come_back(tmp_path_factory):
    """They are in Git and so in no cache: jobs copy them, and who collects tells DVC."""
    clone = make_clone(tmp_path_factory.mktemp("study"), lambda params: params | {"datasets": ["thumos14"], "jobs": 1})
    edit(clone / "profiles/study.yaml", tiny_study)
    (clone / "reports/study/trials").mkdir(parents=True, exist_ok=True)
    (clone / "reports/study/trials/.gitkeep").touch()
    commit(clone, "a small study")
    stale = run(clone, "cluster/stale", "study/dvc.yaml").split()
    trials = [name for name in stale if ":trials@" in name]
    assert len(trials) == 9 and "study/dvc.yaml:verdict" in stale
    one, *others = trials
    run(clone, "cluster/job", one)
    file = f"reports/study/trials/{one.partition('@')[2]}.json"
    written = (clone / file).read_bytes()
    assert list(json.loads(written)["trials"]["baseline"]) == ["1", "2"]  # the job's, not what was there
    dvc(clone, "commit", "--quiet", "--force", one)
    assert stages_run(dvc(clone, "repro", one)) == set() and (clone / file).read_bytes() == written
    assert trials[1:] == [name for name in run(clone, "cluster/stale", "study/dvc.yaml").split() if name in trials]


@pytest.fixture
def slurm():
    """A Slurm whose nodes see the folder of the tests (`pytest --basetemp` names one)."""
    if not shutil.which("sbatch") or subprocess.run(["sinfo"], capture_output=True).returncode:
        pytest.skip("no Slurm here")


def test_through_slurm_with_a_job_put_back(head, alone, slurm):
    submitted = run(head, "cluster/submit", "dvc.yaml", "--time=30")
    train, _, collect = re.findall(r"^\w+: job (\d+)$", submitted, re.MULTILINE)
    until((head / "cluster/clones" / TRAININGS[1] / ROLLING).exists, PATIENCE)
    run(head, "scontrol", "requeue", f"{train}_1")
    put_back = "squeue", "--noheader", "--array", "--format=%i", "--states=PENDING", f"--jobs={train}"
    until(lambda: f"{train}_1" in run(head, *put_back).split(), PATIENCE)
    run(head, "scontrol", "update", f"JobId={train}_1", "StartTime=now")  # else it is put off for two minutes
    dvc(alone, "repro")
    run(head, "sbatch", "--wait", f"--dependency=afterany:{collect}", "--output=/dev/null", "--wrap=true")
    logs = {path.name: path.read_text(encoding="utf-8") for path in (head / "cluster/logs").iterdir()}
    assert sum(f"failed to reproduce '{TRAININGS[1]}'" in log for log in logs.values()) == 1
    assert {"tables", "report"} <= stages_run(logs[f"collect-{collect}.log"])
    assert not {name for name in stages_run(logs[f"collect-{collect}.log"]) if name.startswith(("train", "evaluate"))}
    assert locked(head) == locked(alone)
    assert contents(head / "reports/plots") == contents(alone / "reports/plots")
