"""The page's answer in words and numbers: of the study, or of the run where there is none."""

import re

import pytest
from made_results import flat, settings

from stages.page import answer
from stages.tabling.cells import gain_cells, number
from stages.tabling.write import write_csv


def overall(mean, positive, gain, lose, wider=None):
    """The table `overall` of the study; ``wider``: the mean with its wider interval."""
    return {
        "mean gain (95 % interval)": mean,
        "mean gain (98.3 % interval)": wider or mean,
        "cells with a positive mean": f"{positive} of 9",
        "cells that gain (p < 0.017, Holm)": f"{gain} of 9",
        "cells that lose (p < 0.05, Holm)": f"{lose} of 9",
    }


@pytest.mark.parametrize(
    ("table", "lead", "failed"),
    [
        (overall("+3.4 (+2.2 to +4.1)", 8, 6, 0), "Yes: CLASNet adds 3.4 points", ""),
        (overall("+3.1 (+0.2 to +4.1)", 9, 3, 0), "On the whole, yes: CLASNet adds 3.1 points", "6 that gain"),
        (overall("+2.9 (+2.2 to +4.1)", 9, 7, 1), "On the whole, yes", "a mean gain .* and none that loses"),
        (
            overall("+3.1 (+0.1 to +6.1)", 9, 6, 0, wider="+3.1 (-0.4 to +6.6)"),
            "On the whole, yes",
            "a mean gain .* above 0",
        ),
        (overall("+3.5 (-0.1 to +7.1)", 9, 7, 0), "Not shown: CLASNet adds 3.5", "a mean gain of 3 points .* above 0"),
        (overall("-2.0 (-3.0 to -1.0)", 7, 6, 0), "No: CLASNet takes away 2.0", "a mean .* and 8 positive cells"),
    ],
)
def test_the_studys_answer_says_what_its_table_says_and_what_its_protocol_misses(table, lead, failed):
    said = answer.study_sentence(table)
    assert said.startswith(lead) and ". " not in said
    low, high = table["mean gain (95 % interval)"][6:-1].split(" to ")
    positive, gain, lose = (table[key].split(" ")[0] for key in list(table)[2:])
    assert f"(95 % interval {low} to {high})" in said
    assert f"positive in {positive} of 9 cells, {gain} gain (p < 0.017, Holm) and {lose} lose (p < 0.05, Holm)" in said
    assert re.search(f"the protocol asks for {failed}\\.$", said) if failed else "protocol" not in said


def test_the_studys_answer_is_made_from_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(answer, "STUDY", tmp_path)
    cells = {"without": "38.4", "with CLASNet": "39.2", "p (Holm)": "0.764", "better in": "5 of 16"}
    names = [("THUMOS14", "DELU"), ("THUMOS14", "ACRNet"), ("ActivityNet v1.2", "DELU")]
    gains = ["+0.8 (-5.3 to +7.0)", "-2.5 (-4.0 to -1.0)", "+1.0 (+0.5 to +1.5)"]
    rows = [{"Data": d, "Method": m, "gain (95 % interval)": gain} for (d, m), gain in zip(names, gains, strict=True)]
    write_csv(tmp_path / "gains.csv", [row | cells for row in rows])
    table = overall("+3.1 (+2.2 to +4.1)", 9, 3, 0)
    write_csv(tmp_path / "overall.csv", [{"What": what, "All cells": cell} for what, cell in table.items()])
    found = answer.study_answer()
    monkeypatch.setattr(answer, "EARLIER", {"first": tmp_path, "second": tmp_path / "not-there"})
    assert answer.earlier_runs().endswith(f" said: {answer.study_sentence(table)}")
    assert found["sentence"] == answer.study_sentence(table) and "dots" not in found["forest"]["caption"]
    facts = dict(found["facts"])
    assert facts["Compared"].startswith("DELU and ACRNet, each without and with CLASNet")
    assert "THUMOS14 and ActivityNet v1.2: 3 cells" in facts["On"] and "16 replicates" in facts["On"]
    lines = found["forest"]["lines"]
    assert [[line[key] for key in ("mean", "low", "high")] for line in lines][1] == [-2.5, -4.0, -1.0]
    assert found["forest"]["overall"] == {"mean": 3.1, "low": 2.2, "high": 4.1}
    text = "38.4 without, 39.2 with CLASNet; better in 5 of 16 replicates, p 0.764 (Holm)"
    assert lines[0]["text"] == text
    replicates = [{"Data": d, "Method": m, "gain": f"{n:+.3f}"} for n, (d, m) in enumerate(names * 2)]
    write_csv(tmp_path / "replicates.csv", replicates)
    assert [line["values"] for line in answer.study_answer()["forest"]["lines"]] == [[0, 3], [1, 4], [2, 5]]


def test_a_span_is_from_the_smallest_to_the_largest():
    assert answer.span([2, 5, 1], 1) == "+1.0 to +5.0" and answer.span([1.04, 0.96], 1) == "+1.0"


def line(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(2, 1, 3)], "Yes: CLASNet adds 2.0 points of average mAP (95 % interval +1.0 to +3.0, over"),
        ([line(2, -1, 5)], "Not shown: CLASNet adds 2.0 points"),
        ([line(-2, -3, -1)], "No: CLASNet takes away 2.0 points"),
        ([line(2, 1, 3), line(1, 0.5, 2)], "Yes: CLASNet adds 1.5 points"),
        ([line(2, 1, 3), line(1, -1, 3)], "In part: CLASNet adds 1.5 points"),
        ([line(2, -1, 3), line(-5, -6, -4)], "No: CLASNet takes away 1.5 points"),
        ([line(2, -1, 3), line(-1, -2, 1)], "Not shown: CLASNet adds 0.5 points"),
        ([line(1, 0.5, 3), line(2, 1, 3), line(6, 5, 7)], "Yes: CLASNet adds 3.0 points"),
    ],
)
def test_the_answer_of_a_run(lines, said):
    found = answer.run_sentence(lines, seeds=3)
    assert found.startswith(said) and "seeds and test videos" in found
    assert "seeds" not in answer.run_sentence(lines, seeds=1)
    if len(lines) > 1:
        positive, gain, lose = (
            sum(line[key] * sign > 0 for line in lines) for key, sign in (("mean", 1), ("low", 1), ("high", -1))
        )
        assert f"positive in {positive} of them, {gain} gain and {lose} lose" in found


def test_a_run_without_twins_answers_from_its_own_tables(results, tmp_path, monkeypatch):
    monkeypatch.setattr(answer, "COSTS", tmp_path / "table5.csv")
    sizes = [("ACRNet", "1,000,000", 20, 100), ("ACRNet + CLASNet", "1,500,000", 30, 250)]
    sizes += [("CO2-Net", "2,000,000", 40, 100), ("CO2-Net + CLASNet", "4,000,000", 50, 200)]
    keys = ("Method", "Parameters", "GFLOP", "ms per video")
    write_csv(tmp_path / "table5.csv", [dict(zip(keys, row, strict=True)) for row in sizes])
    results.write("acrnet", "baseline", flat(20, 22))
    results.write("acrnet", "clasnet", flat(24, 28))
    params = settings(baselines=["acrnet"], twin=False, synthetic=False)
    found = answer.answer(params)
    (line,) = found["forest"]["lines"]
    assert line["mean"] == pytest.approx(5) and line["values"] == pytest.approx([4, 6])
    cells = gain_cells("thumos14", "acrnet", "clasnet")
    assert f"{number(line['low'], '+')} to {number(line['high'], '+')}" == cells["95 % interval"]
    assert cells["95 % interval"] in found["sentence"] and "adds 5.0 points" in found["sentence"]
    facts = dict(found["facts"])
    assert facts["On"] == "THUMOS14, 60 test videos; 2 seeds"
    assert facts["Cost"].startswith("+0.5 M parameters (+50 %), +10.0 GFLOP (+50 %) and +150 ms a video (+150 %)")


def test_a_run_answers_of_all_its_cells(results, tmp_path, monkeypatch):
    """The mean gain and the costs are of three baselines, and of none of them alone."""
    monkeypatch.setattr(answer, "COSTS", tmp_path / "table5.csv")
    keys = ("Method", "Parameters", "GFLOP", "ms per video")
    sizes = [("ACRNet", 1, 20, 100), ("ACRNet + CLASNet", 1.5, 30, 250), ("CO2-Net", 2, 40, 100)]
    sizes += [("CO2-Net + CLASNet", 4, 50, 200), ("DELU", 2, 40, 100), ("DELU + CLASNet", 3, 50, 200)]
    rows = [(method, f"{1_000_000 * millions:,.0f}", *others) for method, millions, *others in sizes]
    write_csv(tmp_path / "table5.csv", [dict(zip(keys, row, strict=True)) for row in rows])
    for baseline, gain in (("co2net", 1), ("delu", 2), ("acrnet", 6)):
        results.write(baseline, "baseline", flat(20, 22))
        results.write(baseline, "clasnet", flat(19.5 + gain, 22.5 + gain))
    found = answer.answer(settings(baselines=["acrnet", "co2net", "delu"], twin=False, synthetic=False))
    assert found["forest"]["overall"]["mean"] == pytest.approx(3)
    assert dict(found["facts"])["Cost"].startswith("+0.5 to +2.0 M parameters (+50 to +100 %), +10.0 GFLOP (+25 to +50")
