"""What the benchmarks print is what they measured."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from benchmarks import attention, convert, develop


def cells(line):
    """The cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_search_shows_what_a_setting_gains_over_the_baseline(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(develop, "RECORD", tmp_path / "record.jsonl")
    shared = {"cell": "thumos14/co2net", "replicate": 40, "correlation": {"a": 0.25}}
    rows = [{"name": name, "maps": {beta: [x] * 7}} for name, beta, x in (("baseline", "0", 20), ("wide", "0.5", 23))]
    develop.RECORD.write_text("\n".join(json.dumps(row | shared) for row in rows), encoding="utf-8")
    develop.show("baseline")
    before, after = capsys.readouterr().out.splitlines()
    assert before.split() == ["baseline", "thumos14/co2net", "20.0", "(20)", "r", "a", "0.25"]
    assert after.split() == ["wide", "thumos14/co2net", "β", "0.5:", "+3.0", "±", "0.0", "(1/1)", "r", "a", "0.25"]


class Known:
    """A reader of a model whose average is 1, 2 more with the true classes, and 4 more with the true snippets."""

    true_attention = "truth"

    def __init__(self, *_):
        pass

    def correlations(self):
        return {"a": 0.1, "A": 0.3, "q": 0.2}

    def average(self, dataset, attention=None, labels=False):
        return 1 + 2 * labels + 4 * (attention == self.true_attention)


def test_the_columns_of_the_attention_are_what_they_are_called(monkeypatch, capsys):
    model = SimpleNamespace(sampling=None, num_segments=10)
    for name, found in (("open_store", None), ("load_model", model), ("usable_videos", [])):
        monkeypatch.setattr(attention, name, lambda *_, found=found: found)
    monkeypatch.setattr(attention, "Reader", Known)
    attention.main("thumos14", "m.pt")
    header, _, row = map(cells, capsys.readouterr().out.splitlines())
    assert dict(zip(header, row, strict=True)) == {
        "model": "m.pt",
        "r, a": "0.10",
        "r, q": "0.20",
        "r, A": "0.30",
        "as it is": "1.0",
        "true classes": "3.0",
        "true snippets": "5.0",
        "both": "7.0",
    }


def test_a_conversion_is_so_many_times_as_long_as_a_copy(tmp_path, monkeypatch, capsys):
    def in_child(name, step, place):
        Path(place, "..", "store").mkdir() if step == "measure" else place.mkdir()
        return "8.0 300\n" if step == "measure" else ""

    copies = iter([0.0, 2.0] * len(convert.PACKAGES))  # each takes two seconds
    monkeypatch.setattr(convert, "in_child", in_child)
    monkeypatch.setattr(convert, "time", SimpleNamespace(perf_counter=copies.__next__))
    monkeypatch.setattr(sys, "argv", ["convert", str(tmp_path)])
    convert.main()
    header, _, *rows = map(cells, capsys.readouterr().out.splitlines())
    assert [row[0] for row in rows] == list(convert.PACKAGES)
    found = dict(zip(header, rows[0], strict=True))
    assert [found[column] for column in ("copy", "conversion")] == ["2.0 s", "8.0 s"]
    assert [found[column] for column in ("ratio", "peak resident memory")] == ["4.0", "300 MB"]
