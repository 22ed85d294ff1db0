"""I3D computes what the published network computes, and its weights are fetched and read with care.

Vectors and tolerances: data/README.md.
"""

import hashlib
import json
import zlib

import numpy as np
import pytest
import torch
from test_real_data import server  # noqa: F401, a fixture
from torch.nn import functional as F

from clasnet import I3D
from clasnet.errors import InputError
from clasnet.video import weights
from clasnet.video.i3d import max_pool, pad_same


def seeded_i3d(channels, seed=11):
    """The vectors' weights under the released names."""
    with torch.device("meta"):  # shapes alone
        shapes, drawn = I3D(channels).state_dict(), {}
    for name, tensor in shapes.items():
        shape, rng = tuple(tensor.shape), np.random.default_rng([seed, zlib.crc32(name.encode())])
        if name.endswith("num_batches_tracked"):
            value = np.zeros(shape, np.int64)
        elif name.endswith((".running_var", ".bn.weight")):
            value = (0.5 + rng.random(shape)).astype(np.float32)
        elif name.endswith((".running_mean", ".bias")):
            value = (rng.standard_normal(shape) * 0.1).astype(np.float32)
        else:
            value = (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
        drawn[name] = torch.from_numpy(value)
    return drawn


def seeded_clip(channels, frames, seed=11):
    x = np.random.default_rng([seed, channels, frames]).random((1, channels, frames, 224, 224)) * 2 - 1
    return torch.from_numpy(x.astype(np.float32))


def write_weights(folder):
    """Both files of seeded weights, as a user has them in ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, (channels, _) in weights.FILES.items():
        torch.save(seeded_i3d(channels), folder / name)
    return folder


def assert_near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@torch.inference_mode()
@pytest.mark.parametrize(("stream", "channels", "frames"), [("rgb", 3, 16), ("rgb", 3, 37), ("flow", 2, 16)])
def test_features_and_logits(published, stream, channels, frames):
    vectors = np.load(published / "parity/i3d.npz")
    model = I3D(channels=channels).eval()
    model.load_state_dict(seeded_i3d(channels))
    features = model.features(seeded_clip(channels, frames))
    assert_near(features[0].numpy(), vectors[f"{stream}_{frames}"])
    if f"{stream}_logits_{frames}" in vectors:
        assert_near(model(seeded_clip(channels, frames))[0].numpy(), vectors[f"{stream}_logits_{frames}"])


def test_names_are_the_released_ones(published):
    names = json.loads((published / "parity/i3d_names.json").read_text(encoding="utf-8"))
    assert {name: list(tensor.shape) for name, tensor in I3D().state_dict().items()} == names
    names["Conv3d_1a_7x7.conv3d.weight"][1] = 2
    assert {name: list(tensor.shape) for name, tensor in I3D(channels=2).state_dict().items()} == names


@pytest.mark.parametrize("size", range(1, 10))
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (3, 2), (2, 2), (1, 1), (1, 2)])
def test_same_padding(size, kernel, stride):
    """Each window of TensorFlow's "same" begins ``stride`` after the one before, the smaller half of zeros in front."""
    x = torch.arange(1.0, size + 1).reshape(1, 1, size, 1, 1)
    got = max_pool(x, (kernel, 1, 1), (stride, 1, 1)).flatten().tolist()
    count = -(-size // stride)
    before = max((count - 1) * stride + kernel - size, 0) // 2
    starts = [i * stride - before for i in range(count)]
    assert got == [max(j + 1 if 0 <= j < size else 0 for j in range(s, s + kernel)) for s in starts]


def test_each_dimension_is_padded_for_itself():
    x = torch.ones(1, 1, 4, 5, 6)
    assert torch.equal(pad_same(x, (7, 3, 1), (2, 1, 1)), F.pad(x, (0, 0, 1, 1, 2, 3)))


@pytest.mark.parametrize("shape", [(1, 3, 8, 224, 224), (1, 2, 16, 224, 224), (1, 3, 16, 224, 256), (3, 16, 224, 224)])
def test_a_clip_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"expected \[B, 3, T, 224, 224\] with T of 9 or more"):
        I3D().features(torch.zeros(shape))


@pytest.fixture
def source(server, tmp_path, monkeypatch):  # noqa: F811
    """A server of seeded weights in place of the published ones, and an empty cache."""
    write_weights(server.folder)
    blobs = {name: git_blob((server.folder / name).read_bytes()) for name in weights.FILES}
    files = {name: (channels, blobs[name]) for name, (channels, _) in weights.FILES.items()}
    monkeypatch.setattr(weights, "SOURCE", server.url)
    monkeypatch.setattr(weights, "FILES", files)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    return server


def git_blob(content):
    """The name that Git gives to ``content``."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_a_blob_is_named_as_git_names_it():
    assert git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"  # of git hash-object


def test_no_digit_of_the_published_weights_changes_unseen():
    assert weights.FILES == {
        "rgb_imagenet.pt": (3, "73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a"),
        "flow_imagenet.pt": (2, "ef0e7c282a102f76b14b52643574b80acba4e475"),
    }


def test_weights_are_fetched_once_and_checked(source, tmp_path, capsys):
    found = weights.weight_files()
    assert list(found.values()) == [blob for _, blob in weights.FILES.values()]
    rgb, flow = weights.load_streams(found)
    assert (rgb.channels, flow.channels, rgb.training, flow.training) == (3, 2, False, False)
    weights.weight_files()
    assert len(source.log) == 2
    next(iter(found)).write_bytes(b"damaged")
    assert weights.weight_files() == found and len(source.log) == 3
    assert "not the published" not in capsys.readouterr().err


def test_weights_of_another_content_are_not_kept(source, tmp_path):
    (source.folder / "flow_imagenet.pt").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"its git is .* by hand into a folder: --weights FOLDER"):
        weights.weight_files()
    assert [path.name for path in (tmp_path / "cache").rglob("*.pt*") if path.suffix != ".lock"] == ["rgb_imagenet.pt"]


def test_weights_of_ones_own_are_named_and_used(tmp_path, capsys):
    write_weights(tmp_path)
    paths = weights.weight_files(tmp_path)
    assert capsys.readouterr().err.count("not the published weights") == 2
    rgb, _ = weights.load_streams(paths)
    assert torch.equal(rgb.logits["conv3d"].bias, seeded_i3d(3)["logits.conv3d.bias"])


class Attack:
    def __reduce__(self):
        return print, ("run",)


def old(state):
    """As files before PyTorch 0.4.1 had it."""
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def test_files_older_than_counters_load(tmp_path):
    torch.save(old(seeded_i3d(2)), tmp_path / "flow_imagenet.pt", _use_new_zipfile_serialization=False)
    assert weights.load_i3d(tmp_path / "flow_imagenet.pt", 2).channels == 2


WRONG = [
    (seeded_i3d(2), r"Conv3d_1a_7x7.conv3d.weight is torch.float32 \(64, 2, 7, 7, 7\), not .* \(64, 3, 7, 7, 7\)"),
    ({"a": torch.zeros(1)}, "Conv3d_1a_7x7.conv3d.weight is missing"),
    ([torch.zeros(1)], "not a state dict of tensors"),
    ({"a": Attack()}, r"holds more than tensors .* nothing of it was run"),
]


@pytest.mark.parametrize(("content", "line"), WRONG)
def test_wrong_weights_give_one_line(tmp_path, capsys, content, line):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match=line):
        weights.load_i3d(tmp_path / "w.pt", 3)
    assert "run" not in capsys.readouterr().out


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="rgb_imagenet.pt: no such file; the folder of weights holds"):
        weights.weight_files(tmp_path)
