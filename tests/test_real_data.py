"""Published packages from a local server to the feature store: the layouts, and all that goes wrong on the way."""

import http.server
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import gdown
import numpy as np
import pytest
import requests
import yaml
from conftest import ROOT, needs_posix
from pipeline import commit, dvc, edit, make_clone, tiny_params
from test_use import Attack

from clasnet.data.annotation_files import read_annotations
from clasnet.data.annotations import make_annotations
from clasnet.data.convert import checked, convert
from clasnet.data.download import Unavailable, digest, download, wrong
from clasnet.data.safe_pickle import stream_object_array
from clasnet.data.store import Origin, open_store
from clasnet.errors import InputError
from stages import check, features
from stages.errors import stage_errors
from stages.sources import load_sources, unpacked

WIDTH = 8
PACKAGE = "Thumos14reduced-I3D-JOINTFeatures.npy"


class Server(http.server.ThreadingHTTPServer):
    """Serves ``folder`` with ranges; ``behave[path]`` says how the coming answers misbehave, one entry each."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.behave, self.log = folder, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that go away are what is tested


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name, wanted = self.path[1:], self.headers.get("Range")
        self.server.log.append((name, wanted))
        queue = self.server.behave.get(name, [])
        how = queue.pop(0) if queue else None
        if how == "busy":
            return self.send_error(503)
        if not (self.server.folder / name).is_file():
            return self.send_error(404)
        content = b"<!DOCTYPE html><html>Sign in</html>" if how == "page" else (self.server.folder / name).read_bytes()
        start = int(wanted[6:-1]) if wanted and how != "no ranges" else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + how] if isinstance(how, int) else content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    (tmp_path / "www").mkdir()
    server = Server(tmp_path / "www")
    yield server
    server.shutdown()
    server.server_close()


def drawn(annotations, columns=2 * WIDTH):
    """Random features of every video with its real length."""
    rng = np.random.default_rng(0)
    return [
        rng.random((max(1, round(seconds * 25 / 16)), columns), dtype=np.float32) for seconds in annotations.duration
    ]


def object_array(videos):
    array = np.empty(len(videos), dtype=object)
    array[:] = videos
    return array


def write_params(dataset="thumos14", profile="paper", source=None, **changes):
    """params.yaml for ``dataset`` alone, and its profile, with small features and another ``source`` of them."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"profile": profile, "datasets": [dataset], "baselines": ["acrnet"], "extensions": "profiles"}
    params["study"]["dataset"] = dataset
    Path("params.yaml").write_text(yaml.safe_dump(params | changes), encoding="utf-8")
    content = yaml.safe_load((ROOT / f"profiles/{profile}.yaml").read_text(encoding="utf-8"))
    if profile == "paper":
        content["train"]["acrnet"][dataset]["model"]["width"] = WIDTH
    if source:
        content["data"][dataset] = {"source": source}
    shutil.copytree(ROOT / "profiles", "profiles", dirs_exist_ok=True)
    Path(f"profiles/{profile}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def no_pause(_):
    pass


@pytest.fixture
def workplace(tmp_path, monkeypatch, server, published):
    """A folder in which the stage finds the THUMOS14 package, over the real annotations, at the local server.

    Its features, and the content of the sources.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("clasnet.data.download.pause", no_pause)
    write_params()
    shutil.copytree(published / "annotations/thumos14", server.folder / "annotations")
    annotations = read_annotations(published / "annotations/thumos14")
    videos = drawn(annotations)
    np.save(server.folder / PACKAGE, object_array(videos), allow_pickle=True)
    sources = yaml.safe_load((ROOT / "sources.yaml").read_text(encoding="utf-8"))
    sources["annotations"]["thumos14"]["base"] = f"{server.url}annotations/"
    checksum = f"sha256:{digest(server.folder / PACKAGE)}"
    sources["thumos14"]["wtalc"] |= {"mirrors": [{"url": f"{server.url}{PACKAGE}"}], "checksum": checksum}
    write_sources(sources)
    return videos, sources


def write_sources(sources):
    Path("sources.yaml").write_text(yaml.safe_dump(sources), encoding="utf-8")


def run(monkeypatch, dataset="thumos14"):
    check.main()
    monkeypatch.setattr(sys, "argv", ["features.py", dataset])
    stage_errors(features.main)


def fails(monkeypatch, line, dataset="thumos14"):
    """The stage ends with one line that holds ``line``, and there is no store, whole or half."""
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, dataset)
    assert line in str(stop.value) and "\n" not in str(stop.value), stop.value
    assert not Path(f"data/{dataset}").exists() and not list(Path("data").glob(".*partial*"))


def holds(videos, folder="data/thumos14"):
    store = open_store(folder)
    assert len(store.length) == len(videos)
    for i, video in enumerate(videos):
        np.testing.assert_array_equal(store.video(i), video)


def test_a_clean_run_and_nothing_fetched_twice(workplace, monkeypatch, server):
    run(monkeypatch)
    holds(workplace[0])
    assert json.loads(Path("data/thumos14/problems.json").read_text(encoding="utf-8")) == {}
    assert open_store("data/thumos14").annotations.ambiguous
    asked = len(server.log)
    assert asked == 9
    run(monkeypatch)
    assert len(server.log) == asked
    write_params(features={"dtype": "float16"})
    run(monkeypatch)
    assert open_store("data/thumos14").features.dtype == np.float16


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_connection_is_resumed(workplace, monkeypatch, server, seed):
    size = (server.folder / PACKAGE).stat().st_size
    server.behave[PACKAGE] = [int(n) for n in np.random.default_rng(seed).integers(0, size // 3, 3)] + ["busy"]
    run(monkeypatch)
    holds(workplace[0])
    asked = [wanted for name, wanted in server.log if name == PACKAGE]
    assert len(asked) == 5 and asked[0] is None and asked[-1].startswith("bytes=")


def test_a_download_goes_on_in_the_next_run(workplace, monkeypatch, server):
    server.behave[PACKAGE] = [100_000] * 5
    fails(monkeypatch, "broke off 5 times (")
    run(monkeypatch)
    holds(workplace[0])
    assert [wanted for name, wanted in server.log if name == PACKAGE][-1] == f"bytes={5 * 65536}-"


def test_a_server_without_ranges(workplace, monkeypatch, server):
    server.behave[PACKAGE] = [200_000, "no ranges"]
    run(monkeypatch)
    holds(workplace[0])


def test_another_version_on_the_server_is_not_mixed_in(tmp_path, server, monkeypatch):
    monkeypatch.setattr("clasnet.data.download.pause", no_pause)
    (server.folder / "f").write_bytes(b"a" * 200_000)
    server.behave["f"] = [150_000]
    with pytest.raises(Unavailable):
        download(f"{server.url}f", tmp_path / "f", attempts=1)
    part = (tmp_path / "f.part").read_bytes()
    (server.folder / "f").write_bytes(b"b" * 200_000)
    # This server answers 206 whatever it is asked for; here even with the same mark, so that the checksum is left.
    expected = f"sha256:{digest(server.folder / 'f')}"
    with pytest.raises(Unavailable, match="its sha256 is"):
        download(f"{server.url}f", tmp_path / "f", checksum=expected)
    download(f"{server.url}f", tmp_path / "f", checksum=expected)
    (tmp_path / "g.part").write_bytes(part)
    (tmp_path / "g.part.etag").write_text('"zero"', encoding="utf-8")
    download(f"{server.url}f", tmp_path / "g")
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes() == b"b" * 200_000


def test_a_wrong_checksum(workplace, monkeypatch, server):
    _, sources = workplace
    sources["thumos14"]["wtalc"]["checksum"] = "sha256:0123456789abcdef"
    write_sources(sources)
    fails(monkeypatch, "its sha256 is")
    assert [path.name for path in Path("data/raw/thumos14/wtalc").iterdir() if PACKAGE in path.name] == [
        f"{PACKAGE}.lock"
    ]


def test_a_truncated_file(workplace, monkeypatch, server):
    _, sources = workplace
    sources["thumos14"]["wtalc"]["checksum"] = None
    write_sources(sources)
    (server.folder / PACKAGE).write_bytes((server.folder / PACKAGE).read_bytes()[:-100_000])
    fails(monkeypatch, "or a truncated one")
    sources["thumos14"]["wtalc"]["size"] = 1
    write_sources(sources)
    fails(monkeypatch, "bytes instead of 1; remove it and fetch it again")


def test_a_page_instead_of_the_file_and_the_next_mirror(workplace, monkeypatch, server):
    _, sources = workplace
    server.behave[PACKAGE] = ["page"]
    fails(monkeypatch, "a web page came instead of the file")
    sources["thumos14"]["wtalc"]["mirrors"].insert(0, {"url": f"{server.url}moved.npy"})
    server.behave[PACKAGE] = ["page"]
    sources["thumos14"]["wtalc"]["mirrors"].append({"url": f"{server.url}{PACKAGE}"})
    write_sources(sources)
    run(monkeypatch)
    holds(workplace[0])


def test_a_temporary_copy_of_the_checkout_reads_its_packages(tmp_path, monkeypatch, server, workplace):
    """As `dvc exp run --temp` makes one, which takes along what Git knows and so not data/raw/."""
    run(monkeypatch)
    asked, pins = len(server.log), Path("sources.lock.json").read_bytes()
    copy = tmp_path / ".dvc/tmp/exps/standalone/tmp1"
    shutil.copytree("profiles", copy / "profiles")
    for name in ("params.yaml", "sources.yaml"):
        shutil.copy(name, copy)
    monkeypatch.chdir(copy)
    run(monkeypatch)
    holds(workplace[0])
    assert len(server.log) == asked and not Path("data/raw").exists()
    assert not Path("sources.lock.json").exists() and (tmp_path / "sources.lock.json").read_bytes() == pins


def test_an_experiment_aside_takes_what_was_fetched_by_hand(tmp_path, server, published):
    """By DVC itself, which chooses where its copy lies, as it does for the workers of a queue."""
    source = server.folder / "annotations"
    shutil.copytree(published / "annotations/thumos14", source)
    page = {"mirrors": [{"manual": "https://example.org/box"}], "checksum": None}

    def sources(content):
        content["annotations"]["thumos14"]["base"] = f"{server.url}annotations/"
        content["thumos14"]["wtalc"] |= page
        return content

    def paper(profile):
        profile["train"]["acrnet"]["thumos14"]["model"]["width"] = WIDTH
        return profile

    def params(content):
        return tiny_params(content) | {"profile": "paper"}

    clone = make_clone(tmp_path / "clone", params)
    edit(clone / "sources.yaml", sources)
    edit(clone / "profiles/paper.yaml", paper)
    commit(clone, "a package to fetch by hand")
    said = dvc(clone, "exp", "run", "--temp", "-n", "aside", "features@thumos14", good=False)
    place = clone / "data/raw/thumos14/wtalc" / PACKAGE
    assert f"put it at {place}, and run again" in said
    np.save(place, object_array(drawn(read_annotations(source))), allow_pickle=True)
    said = dvc(clone, "exp", "run", "--temp", "-n", "later", "-S", "features.dtype=float16", "features@thumos14")
    assert "data/thumos14: 412 videos" in said and not (clone / "data/thumos14").exists()


def test_what_only_a_person_can_fetch(workplace, monkeypatch, server):
    _, sources = workplace
    sources["thumos14"]["wtalc"]["mirrors"] = [{"manual": "https://example.org/box"}]
    write_sources(sources)
    place = f"data/raw/thumos14/wtalc/{PACKAGE}"
    fails(monkeypatch, f"fetch {PACKAGE} by hand from https://example.org/box, put it at {place}, and run again")
    shutil.copy(server.folder / PACKAGE, place)
    run(monkeypatch)
    holds(workplace[0])


def test_google_drive(workplace, monkeypatch, server):
    _, sources = workplace
    sources["thumos14"]["wtalc"]["mirrors"] = [{"drive": "some-id"}, {"manual": "https://example.org/box"}]
    write_sources(sources)

    def refuse(**_):
        raise gdown.FileURLRetrievalError("too many users have viewed or downloaded this file recently")

    def give(id, output, resume, retries, timeout):
        shutil.copy(server.folder / PACKAGE, output)

    monkeypatch.setattr(gdown, "download", refuse)
    fails(monkeypatch, "Google Drive some-id: too many users have viewed or downloaded this file recently; fetch")
    monkeypatch.setattr(gdown, "download", give)
    run(monkeypatch)
    holds(workplace[0])


def command(*prefix, **options):
    check.main()
    line = [*prefix, sys.executable, "-m", "stages.features", "thumos14"]
    options |= {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "encoding": "utf-8"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


@needs_posix
def test_no_room_on_the_disk(workplace, monkeypatch, server):
    """A limit on the size of files, below the package's and then between it and the store's."""
    import resource

    def limited(bytes):
        def apply():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))

        process = command(preexec_fn=apply)
        return process.communicate(timeout=120)[0], process.returncode

    size = (server.folder / PACKAGE).stat().st_size
    said, code = limited(size // 2)
    assert code and "the disk is full; make room and run again" in said and "Traceback" not in said
    assert not Path(f"data/raw/thumos14/wtalc/{PACKAGE}").exists()
    run(monkeypatch)
    shutil.rmtree("data/thumos14")
    said, code = limited(size // 2)
    assert code and "the disk is full; nothing half-written is left" in said and "Traceback" not in said
    assert not Path("data/thumos14").exists() and not list(Path("data").glob(".*partial*"))
    run(monkeypatch)
    holds(workplace[0])


def test_a_full_file_system(workplace, server, tmp_path):
    if not shutil.which("unshare"):
        pytest.skip("no file system can be mounted here")
    small = tmp_path / "data"
    small.mkdir()
    mounted = f"mount -t tmpfs -o size=12m tmpfs {small} && "
    if subprocess.run(["unshare", "-rm", "sh", "-c", f"{mounted}true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    check.main()
    shutil.copytree(small / "units", tmp_path / "units")
    script = f'{mounted}cp -r {tmp_path}/units {small} && "$@"; code=$?; ls -A {small}; exit $code'
    process = command("unshare", "-rm", "sh", "-c", script, "sh")
    said, _ = process.communicate(timeout=120)
    assert process.returncode and "the disk is full" in said and "Traceback" not in said
    assert "partial" not in said and "\nthumos14\n" not in said


SLOW = """
import sys, time
import clasnet.data.convert as convert
from stages import features

def slow(id, features, *_):
    time.sleep(0.05)
    return features

convert.finite = slow
sys.argv = ["features.py", "thumos14"]
features.main()
"""


def test_a_killed_conversion(workplace, monkeypatch):
    check.main()
    process = subprocess.Popen([sys.executable, "-c", SLOW], env=os.environ | {"PYTHONPATH": str(ROOT)})
    for _ in range(1000):
        if list(Path("data").glob(".thumos14.partial*/features.npy")):
            break
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=60)
    assert list(Path("data").glob(".thumos14.partial*")) and not Path("data/thumos14").exists()
    with pytest.raises(FileNotFoundError, match="no feature store there"):
        open_store("data/thumos14")
    run(monkeypatch)
    holds(workplace[0])
    assert not list(Path("data").glob(".thumos14.partial*"))


def test_two_at_once(workplace, server):
    both = [command() for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    holds(workplace[0])
    assert sorted(name for name, _ in server.log).count(PACKAGE) == 1


def test_a_malicious_package_runs_nothing(workplace, monkeypatch, server, tmp_path):
    videos, sources = workplace
    np.save(server.folder / PACKAGE, object_array([*videos[:-1], Attack(tmp_path / "mark")]), allow_pickle=True)
    sources["thumos14"]["wtalc"]["checksum"] = None
    write_sources(sources)
    fails(monkeypatch, "it asks for posix.mkdir, which is neither a NumPy array nor a plain container")
    assert not (tmp_path / "mark").exists()


def write_layout(folder, ids, videos, layout):
    """The features of ``videos`` in ``layout``, with a fault in some of the first ten."""
    for i, (id, video) in enumerate(zip(ids, videos, strict=True)):
        place = folder / ("train" if i < 200 else "test")
        place.mkdir(parents=True, exist_ok=True)
        if i == 4:
            continue  # annotated, but without features
        given = {5: video[:, :-2], 6: video[:0]}.get(i, video)
        if layout == "pairs":
            half = given.shape[1] // 2
            np.save(place / f"{id}_rgb.npy", given[:, :half])
            np.save(place / f"{id}_flow.npy", given[: len(given) - (i == 7), half:])  # one snippet shorter
        else:
            np.save(place / f"{id}.npy", given)
    np.save(folder / "unknown.npy", videos[0])
    broken = folder / "train" / (f"{ids[8]}_rgb.npy" if layout == "pairs" else f"{ids[8]}.npy")
    broken.write_bytes(broken.read_bytes()[:-100])


@pytest.mark.parametrize("layout", ["pairs", "files", "archive"])
def test_files_of_each_video(workplace, monkeypatch, server, layout):
    """Pairs as ACRNet's, single files as ACM-Net's in sub-folders, an archive as ActionFormer's.

    With everything that can be wrong in them.
    """
    _, sources = workplace
    annotations = read_annotations(server.folder / "annotations")
    videos = drawn(annotations)
    ids = annotations.ids.tolist()
    videos[3] = videos[3].copy()
    videos[3][5, 2], videos[3][7] = np.nan, np.inf
    folder = Path("data/raw/thumos14/mine/features")
    write_layout(folder, ids, videos, layout)
    source = {"annotations": "thumos14", "mirrors": [{"manual": "https://example.org"}], "folder": "features"}
    if layout == "archive":
        with tarfile.open(server.folder / "all.tar.gz", "w:gz") as tar:
            tar.add(folder, "i3d")
        shutil.rmtree(folder)
        mirrors = [{"url": f"{server.url}all.tar.gz"}]
        source |= {"file": "all.tar.gz", "unpack": "features", "folder": None, "mirrors": mirrors}
    sources["thumos14"]["mine"] = source
    write_sources(sources)
    write_params(source="mine")
    run(monkeypatch)

    store = open_store("data/thumos14")
    kept = [i for i in range(len(ids)) if i not in (4, 5, 6, 8)]
    assert sorted(store.annotations.ids.tolist()) == sorted(ids[i] for i in kept)
    for position, id in enumerate(store.annotations.ids.tolist()):
        expected = np.nan_to_num(videos[ids.index(id)], nan=0, posinf=0)
        if layout == "pairs" and id == ids[7]:
            expected = expected[:-1]
        np.testing.assert_array_equal(store.video(position), expected)
    own = store.annotations.ids.tolist().index(ids[3])
    assert (store.annotations.segment_video == own).sum() == (annotations.segment_video == 3).sum()
    problems = json.loads(Path("data/thumos14/problems.json").read_text(encoding="utf-8"))
    (broken,) = problems.pop("unreadable, left out; fetch them again")
    assert ids[8] in broken and "truncated" in broken
    assert problems == {
        "features without annotation": ["unknown"],
        "annotation without features, left out": [ids[4], ids[8]],
        "another width, left out": [f"{ids[5]}: ({len(videos[5])}, 14), not [T, 16]"],
        "no snippets, left out": [ids[6]],
        "NaN or infinity, taken as 0": [f"{ids[3]}: 2 of {len(videos[3])} snippets"],
    }


@pytest.mark.parametrize(
    ("seconds", "snippets", "noted"),
    [(100, 104, False), (100, 96, False), (100, 110, True), (100, 90, True), (10, 12, False), (10, 13, True)],
)
def test_features_of_another_length_are_noted(seconds, snippets, noted):
    """Of more than a twentieth, and than two seconds; a snippet has one here."""
    videos = [{"id": id, "subset": "test", "duration": seconds, "segments": []} for id in "ab"]
    annotations = make_annotations(["run"], videos)
    problems, features, fit = {}, np.ones((snippets, 4), np.float32), np.ones((seconds, 4), np.float32)
    (id, kept), _ = checked([("a", features), ("b", fit)], "p.npy", annotations, 4, Origin(rate=1, stride=1), problems)
    assert id == "a" and kept is features
    line = f"a: {snippets:.1f} s of features, {seconds:.1f} s annotated"
    assert problems == ({"features and annotation differ in length": [line]} if noted else {})


@pytest.mark.parametrize("cadence", [1.0, 2.0])
def test_features_of_other_videos_are_refused(tmp_path, cadence):
    """A package in another order than the annotations, and one of half as many snippets a second."""
    lengths = {"a": 20, "b": 40, "c": 60}
    videos = [{"id": id, "subset": "test", "duration": 0.64 * n, "segments": []} for id, n in lengths.items()]
    order = [*lengths.values()] if cadence > 1 else [40, 60, 20]
    features = [np.full((int(n / cadence), 4), n, np.float32) for n in order]
    np.save(tmp_path / "p.npy", object_array(features), allow_pickle=True)
    with pytest.raises(InputError, match="p.npy: 3 of 3 videos differ in length .* a: .*: features of another order"):
        convert(tmp_path / "s", make_annotations(["run"], videos), tmp_path / "p.npy", columns=4, subsets=("test",))
    assert not (tmp_path / "s").exists()


def test_archives_stay_in_their_folder_and_damage_is_named(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"x" * 10_000)
    with tarfile.open(tmp_path / "out.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "x.npy", "../escaped.npy")
    with pytest.raises(ValueError, match=r"refused: it holds \.\./escaped.npy"):
        unpacked(tmp_path / "out.tar.gz", tmp_path / "data" / "features")
    assert not list(tmp_path.rglob("escaped.npy")) and not (tmp_path / "data/features").exists()
    with tarfile.open(tmp_path / "cut.tar.gz", "w:gz") as tar:
        for i in range(20):
            tar.add(tmp_path / "x.npy", f"{i}.npy")
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "cut.tar.gz").read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged archive .*; remove it and fetch it again"):
        unpacked(tmp_path / "cut.tar.gz", tmp_path / "data" / "features")
    assert not (tmp_path / "data/features").exists()
    shutil.make_archive(str(tmp_path / "good"), "zip", tmp_path, "x.npy")
    assert (unpacked(tmp_path / "good.zip", tmp_path / "data" / "features") / "x.npy").stat().st_size == 10_000


def test_activitynet13(workplace, monkeypatch, server, published):
    """BMN's annotations, and files whose names have the v_ that the ids lack; unused subsets stay out."""
    _, sources = workplace
    files = {}
    for name in ("anet_anno_action.json", "video_info_new.csv"):
        path = Path(shutil.copy(published / "annotations/activitynet" / name, server.folder))
        files[name] = {"size": path.stat().st_size, "checksum": f"sha256:{digest(path)}"}
    sources["annotations"]["activitynet13"] = {"base": server.url, "files": files}
    write_sources(sources)
    write_params("activitynet13", source="acmnet")
    fails(monkeypatch, "no program can fetch these features: open https://drive.google.com", "activitynet13")
    annotations = read_annotations("data/raw/activitynet13/acmnet/annotations")
    assert len(annotations.classes) == 200 and (annotations.subset == "validation").sum() == 200
    folder = Path("data/raw/activitynet13/acmnet/features")
    folder.mkdir()
    chosen = [int(np.flatnonzero(annotations.subset == s)[3]) for s in ("training", "validation", "testing")]
    for i in chosen:
        length = round(annotations.duration[i] / 0.64)
        np.save(folder / f"v_{annotations.ids[i]}.npy", np.ones((length, 2 * WIDTH), dtype=np.float32))
    run(monkeypatch, "activitynet13")
    store = open_store("data/activitynet13")
    assert sorted(store.annotations.ids.tolist()) == sorted(annotations.ids[chosen[:2]].tolist())
    problems = json.loads(Path("data/activitynet13/problems.json").read_text(encoding="utf-8"))
    assert len(problems["annotation without features, left out"]) == 200 + 200 - 2


def test_the_demo_profile_uses_no_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params(profile="demo")

    def refuse(*_, **__):
        pytest.fail("asked the network")

    monkeypatch.setattr(requests.Session, "request", refuse)
    monkeypatch.setattr(gdown, "download", refuse)
    run(monkeypatch)
    assert open_store("data/thumos14").width == 32


FOLDERS = [("thumos14", "thumos14"), ("activitynet12", "activitynet"), ("activitynet13", "activitynet")]


@pytest.mark.parametrize(("entry", "folder"), FOLDERS)
def test_sources_know_the_published_annotations(published, entry, folder):
    """The checksums of the whole files, of which those of THUMOS14 are here."""
    lines = (published / "annotations/published.sha256").read_text(encoding="utf-8").splitlines()
    known = {path: (f"sha256:{checksum}", int(size)) for checksum, size, path in map(str.split, lines)}
    for name, facts in load_sources(ROOT / "sources.yaml").annotations[entry].files.items():
        assert known[f"{folder}/{name}"] == (facts.checksum, facts.size)
        if folder == "thumos14":
            path = published / "annotations/thumos14" / name
            assert wrong(path, size=facts.size, checksum=facts.checksum) == ""


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_streaming_reads_what_numpy_reads(tmp_path, protocol, order):
    rng = np.random.default_rng(0)
    kinds = ((3, "f4"), (0, "f4"), (700, "f8"), (1, "f2"))
    array = object_array([np.asarray(rng.random((n, 600)), dtype=dtype, order=order) for n, dtype in kinds])
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": array.shape})
        pickle.dump(array, file, protocol=protocol)
    whole = np.load(tmp_path / "a.npy", allow_pickle=True)
    for expected, got in zip(whole, stream_object_array(tmp_path / "a.npy"), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
