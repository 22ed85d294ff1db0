"""The report page in a browser, with data made by hand: the answer, and the explorer's choices, order and links."""

import numpy as np
import pytest
from browser import opened

from stages.page.explorer import as_bytes
from stages.report import fill_page

LINES = [
    {"data": "THUMOS14", "method": "ACRNet", "mean": 2.0, "low": -1.0, "high": 6.0, "values": [1, 3], "text": "p 1"},
    {"data": "THUMOS14", "method": "DELU", "mean": -1.0, "low": -2.0, "high": 0.0, "values": [], "text": "p 0"},
]
GAINS = [LINES[0] | {"mean": 2.5, "low": 1.0, "high": 4.0, "values": [2, 3]}]  # of Figure 3: not those of the answer
SCORES = {  # of four videos, by seed: without, and with CLASNet
    "v1": ([10, 20], [15, 10]),
    "v2": ([30, 30], [60, 31]),
    "v3": ([50, 0], [40, 90]),
    "v4": ([5, 6], [5, 6]),
}


FIRST_LOSS = {"baseline": 4.0, "clasnet": 5.0}
KINDS = ("localisation", "background", "wrong label", "double detection", "confusion")
SWEEP = {"n": 1, "mean": 3.0, "spread": 0.5, "values": [2.6, 3.4]}  # a point of Figure 4
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


def model(seed, variant):
    """What one model finds: 1 + seed segments without, one more with CLASNet."""
    count = 1 + seed + (variant == "clasnet")
    curve, attention = as_bytes(np.linspace(0, 1, 8)), as_bytes(np.linspace(1, 0, 8))
    segments = [[10.0 * n, 10.0 * n + 8, 0, 0.9 - n / 10] for n in range(count)]
    return {"segments": segments, "curves": {"attention": attention, "cas": {"0": curve}}}


def video(id):
    before, after = SCORES[id]
    variants = {v: {str(seed): model(seed, v) for seed in (0, 1)} for v in ("baseline", "clasnet")}
    return {
        "seconds": 60.0,
        "truth": [[0.0, 10.0, 0], [14.0, 22.0, 0], [30.0, 40.0, 1]],
        "scores": {name: {"baseline": before, "clasnet": after} for name in ("acrnet", "delu")},
        "models": dict.fromkeys(("acrnet", "delu"), variants),
        "pictures": [[20.0, PIXEL], [50.0, PIXEL]] if id == "v4" else [],
    }


def sensitivity(normalised, missed):
    """One row of the diagnosis."""
    return {"what": "length", "bin": "XS", "instances": 7, "mAP_N": normalised, "missed": missed}


def content():
    """The data of a page."""
    errors = {"mAP": 1.0, "counts": {"background": 1}, "sensitivity": [sensitivity(10.0, 0.3)]}
    kinds = dict.fromkeys(KINDS, 0.0)
    models = {
        "baseline": errors | {"cost": kinds},
        "clasnet": errors
        | {
            "mAP": 4.0,
            "counts": {"background": 2},
            "sensitivity": [sensitivity(20.0, 0.4)],
            "cost": kinds | {"localisation": -3.0, "background": 2.0, "double detection": 1.0, "confusion": -1.0},
        },
    }
    sets = ("thumos14", "activitynet12")
    rows = [["a", "900"], ["b", "1,000,000"], ["c", "20,000"]]
    table = {"caption": "Table 1. Some", "columns": ["Method", "Parameters"], "rows": rows, "note": ""}
    panels = [{"name": "L", "points": [SWEEP]}, {"name": "H", "points": [SWEEP | {"spread": None, "values": [3.0]}]}]
    losses = {
        v: {"loss": {str(seed): {"step": [0, 10, 20], "value": [x, 2.0, 1.0 + seed]} for seed in (0, 1)}}
        for v, x in FIRST_LOSS.items()
    }
    others = {v: {"loss": {"0": {"step": [0, 10], "value": [x, 7.0]}}} for v, x in FIRST_LOSS.items()}
    return {
        "banner": "",
        "mark": "",
        "diagnosis_note": "",
        "training_note": "",
        "about": "",
        "titles": {"acrnet": "ACRNet", "delu": "DELU"},
        "seeds": [0, 1],
        "answer": {
            "sentence": "Not shown: by hand.",
            "facts": [["On", "this"], ["Cost", "that"]],
            "forest": {"lines": LINES, "overall": line(0.5, -1, 2), "dots": "seeds", "caption": "Gain."},
        },
        "study": None,
        "tables": [{"id": "table1", **table}],
        "images": {f"figure{n}": {"title": f"Figure {n}: by hand", "source": "data:,"} for n in (2, 5)},
        "gains": GAINS,
        "sweep": {"model": "ACRNet", "data": "THUMOS14", "alone": 1.0, "panels": panels},
        "explorer": {
            name: {
                "title": name,
                "note": "note",
                "classes": ["jump", "run"],
                "tallies": {"acrnet": [[3, 0, 1], [1, 0, 3]], "delu": [[0, 0, 4], [1, 0, 3]]},
                "videos": {id: video(id) for id in SCORES},
            }
            for name in sets
        },
        "diagnosis": {name: dict.fromkeys(("acrnet", "delu"), models) for name in sets},
        "training": {name: {"acrnet": losses, "delu": others} for name in sets},
        "params": "",
        "versions": "",
    }


def line(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(fill_page(content()), encoding="utf-8")
    return path.as_uri()


def listed(page):
    """The videos and their gains in the order of the list."""
    rows = page.locator("#x-videos tbody tr").all_inner_texts()
    return [tuple(row.split()[:2]) for row in rows]


def test_the_page_answers_first_and_its_explorer_remembers(address):
    with opened(address) as page:
        check_answer(page)
        check_diagnosis(page)
        check_tables(page)
        check_figures(page)
        link = check_explorer(page)
        check_link(page, f"{address}{link}")
        page.goto("about:blank")
        page.goto(f"{address}#data=thumos14&baseline=acrnet&seed=5&video=v9&sort=gain-descending")
        assert page.locator("#x-lost").inner_text().endswith("does not hold: 5, v9.")
        assert page.locator("#x-videos :checked").input_value() == "v2"


def check_answer(page):
    assert page.locator("#sentence").inner_text() == "Not shown: by hand."
    assert page.locator("#facts").inner_text().split() == ["On", "this", "Cost", "that"]
    forest = page.get_by_role("img", name="Forest plot").first
    said = forest.get_attribute("aria-label")
    assert "THUMOS14, DELU: -1.0 points (95 % interval -2.0 to 0.0)" in said and "all cells: +0.5 points" in said
    box = page.locator("#forest").bounding_box()
    assert box["y"] + box["height"] <= 900
    drawn = page.evaluate("$('forest').data.map((t) => [t.x, t.text ?? null, t.error_x?.array, t.error_x?.arrayminus])")
    assert drawn[:2] == [[[1, 3], None, None, None], [[2, -1], ["+2.0", "-1.0"], [4, 1], [3, 1]]]
    assert [x for x, *_ in drawn[2:]] == [[-1, 0.5, 2, 0.5, -1], [0.5], [2]]  # all cells: diamond, mean, its number
    assert drawn[-1][1] == ["  <b>+0.5</b>"]
    assert plotted(page, "forest")[1]["customdata"] == [  # what a pointer reads
        "<b>THUMOS14, ACRNet</b><br>+2.0 points (95 % interval -1.0 to +6.0)<br>p 1",
        "<b>THUMOS14, DELU</b><br>-1.0 points (95 % interval -2.0 to 0.0)<br>p 0",
    ]
    ticks = page.evaluate("$('forest').layout.yaxis.ticktext")
    assert ticks == ["THUMOS14, ACRNet", "THUMOS14, DELU", "<b>All cells</b>"]
    headings = page.locator("h1, h2, h3").evaluate_all("all => all.map((h) => Number(h.tagName[1]))")
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(below <= above + 1 for above, below in zip(headings, headings[1:], strict=False))


def check_diagnosis(page):
    """Costs with CLASNet less those without; below, the two normalised mAPs in the order of their columns."""
    said = page.locator("#d-summary").text_content()
    assert said.startswith("mAP at t-IoU 0.5: 1.0 without, 4.0 with CLASNet.")
    assert "boundaries (localisation) -3.0 points, background +2.0, wrong label 0.0" in said
    assert said.endswith("double detection +1.0, confusion -1.0.")
    (row,) = page.locator("#d-sensitivity tbody tr").all()
    assert row.locator("th, td").all_text_contents() == ["length: XS", "7", "10.0", "20.0", "30.0", "40.0"]
    counts = [(t["name"], t["x"], t["y"]) for t in plotted(page, "d-counts")]
    assert counts == [("ACRNet", ["background"], [1]), ("ACRNet + CLASNet", ["background"], [2])]
    assert [(t["name"], t["y"]) for t in plotted(page, "d-cost")] == [
        ("ACRNet", [0, 0, 0, 0, 0]),
        ("ACRNet + CLASNet", [-3, 2, 0, 1, -1]),
    ]


def check_tables(page):
    """A press sorts by value, in spite of the commas of large numbers."""
    header = page.locator("#tables th", has_text="Parameters")
    for press, order in (("descending", "bca"), ("ascending", "acb"), ("none", "abc")):
        header.get_by_role("button", include_hidden=True).evaluate("button => button.click()")
        assert header.get_attribute("aria-sort") == press
        assert page.locator("#tables tbody th").all_text_contents() == list(order)


def check_figures(page):
    """In their order; Figure 4 says what CLASNet adds to the baseline alone; losses are over steps."""
    titles = page.locator("#figures figcaption").all_text_contents()
    assert [title.partition(":")[0] for title in titles] == [f"Figure {n}" for n in (2, 3, 4, 5)]
    assert [t["x"] for t in plotted(page, "figure3")] == [[2, 3], [2.5]]
    alone, seeds, mean, *_ = plotted(page, "figure4")
    assert alone["y"] == [1] and seeds["y"] == SWEEP["values"]
    assert mean["y"] == [3] and mean["customdata"] == ["+2.0"]
    assert page.evaluate("$('figure4').data.map((t) => t.error_y?.array).filter(Boolean)") == [[0.5], [0]]
    assert page.evaluate("[$('figure4').layout.xaxis, $('figure4').layout.xaxis2].map((axis) => axis.title.text)") == [
        "L",
        "H",
    ]
    losses = [(t["name"], t["x"], t["y"]) for t in plotted(page, "t-plot")]
    assert losses == [  # of each seed
        ("ACRNet", [0, 10, 20], [4, 2, 1]),
        ("ACRNet", [0, 10, 20], [4, 2, 2]),
        ("ACRNet + CLASNet", [0, 10, 20], [5, 2, 1]),
        ("ACRNet + CLASNet", [0, 10, 20], [5, 2, 2]),
    ]
    page.locator("#t-baseline").evaluate(
        "select => { select.value = 'delu'; select.dispatchEvent(new Event('change')) }"
    )
    losses = [(t["name"], t["x"], t["y"]) for t in plotted(page, "t-plot")]
    assert losses == [("DELU", [0, 10], [4, 7]), ("DELU + CLASNet", [0, 10], [5, 7])]
    colours = page.evaluate(
        "[...new Set(['d-cost', 't-plot'].flatMap((id) => $(id).data.map((t) => (t.marker ?? t.line).color)))]"
    )
    assert colours == page.evaluate("[colour('base'), colour('with')]")


def plotted(page, id):
    """What a plot is of: name, coordinates and more of every trace."""
    of = "({ name, x, y, base, customdata }) => ({ name, x, y, base, customdata })"
    return page.evaluate(f"document.getElementById('{id}').data.map({of})")


def check_explorer(page):
    """Seeds, order, keys; returns the link to where it ends."""
    assert listed(page) == [("v2", "+30.0"), ("v1", "+5.0"), ("v4", "0.0"), ("v3", "-10.0")]
    assert page.locator("#x-title").inner_text() == "v2"
    tally = "By themselves, with CLASNet 3 test videos of 4 gain, 1 loses and 0 stay as before (ACRNet, seed 0)."
    assert page.locator("#x-tally").inner_text() == tally
    cells = page.locator("#x-videos tbody tr").first.locator("th, td").all_inner_texts()
    assert [cell.strip() for cell in cells] == ["v2", "+30.0", "30.0", "60.0", "3", "60"]
    assert "ACRNet shows 1 segment and" in page.locator("#x-summary").inner_text()
    said = with_all_scores(page)  # 10 to 18 overlaps the instance from 14 to 22 by a third
    assert "ACRNet shows 1 segment and covers 1 of them" in said and "shows 2 segments and covers 1 of them" in said
    curves, bars = [], []
    for trace in plotted(page, "x-plot"):
        (curves if trace["base"] is None else bars).append(trace)
    assert len(curves) == 4 and {(min(t["y"]), max(t["y"])) for t in curves} == {(0, 1)}
    ends = [("class activation", 0, 1), ("attention", 1, 0)]  # first and last, from the middle of each snippet's 7.5 s
    for trace, (what, first, last) in zip(curves, 2 * ends, strict=True):
        assert trace["name"].endswith(f": {what}") and (trace["y"][0], trace["y"][-1]) == (first, last)
        assert (trace["x"][0], trace["x"][-1]) == (3.75, 56.25)
    lanes = page.evaluate("$('x-plot').layout.yaxis.categoryarray")
    assert lanes == ["+ CLASNet", "ACRNet", "truth"]  # from below
    assert [(t["base"], t["x"]) for t in bars] == [([10, 0], [8, 8]), ([0], [8]), ([0, 14], [10, 8])]
    first, second = "score 0.900, 0.0 to 8.0 s", "score 0.800, 10.0 to 18.0 s"
    true = ["true instance, 0.0 to 10.0 s", "true instance, 14.0 to 22.0 s"]
    assert [t["customdata"] for t in bars] == [[second, first], [first], true]
    rows = [row.locator("th, td").all_text_contents() for row in page.locator("#x-segments tbody tr").all()]
    assert rows == [
        ["true", "0.0", "10.0", ""],
        ["true", "14.0", "22.0", ""],
        ["ACRNet", "0.0", "8.0", "0.900"],
        ["ACRNet + CLASNet", "0.0", "8.0", "0.900"],
        ["ACRNet + CLASNet", "10.0", "18.0", "0.800"],
    ]
    page.select_option("#x-seed", "1")
    assert listed(page) == [("v3", "+90.0"), ("v2", "+1.0"), ("v4", "0.0"), ("v1", "-10.0")]
    assert page.locator("#x-title").inner_text() == "v2"  # stays while its seed changes
    said = page.locator("#x-summary").inner_text()  # of each model as many as there are true ones
    assert "ACRNet shows 2 segments" in said and "CLASNet shows 2 segments" in said
    assert "ACRNet shows 2 segments" in with_all_scores(page)
    header = page.locator("#x-videos th", has_text="gain")
    assert header.get_attribute("aria-sort") == "descending"
    header.get_by_role("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert [id for id, _ in listed(page)] == ["v1", "v4", "v2", "v3"]
    page.locator("#x-videos :checked").press("ArrowDown")  # to the next of the list
    assert page.locator("#x-title").inner_text() == "v3"
    page.select_option("#x-dataset", "activitynet12")
    page.select_option("#x-baseline", "delu")
    page.locator("#x-videos [value=v4]").check()
    page.select_option("#x-class", "1")
    assert alternatives(page) == ["v4 at 20.0 s", "v4 at 50.0 s"]
    page.locator("[data-zoom=in]").press("Enter")
    assert alternatives(page) == ["v4 at 20.0 s"]  # of what is looked at
    return page.locator("#x-link").get_attribute("href")


def alternatives(page):
    """What stands for the pictures of the video."""
    return page.locator("#x-pictures img").evaluate_all("all => all.map((picture) => picture.alt)")


def with_all_scores(page):
    """What is said of the video when segments of all scores are shown."""
    slider = page.locator("#x-threshold")
    slider.fill(slider.get_attribute("min"))
    return page.locator("#x-summary").inner_text()


def check_link(page, address):
    """A link brings the view back, in a page of its own."""
    before = view(page)
    assert page.evaluate("location.href") == address
    page.goto("about:blank")
    page.goto(address)
    assert view(page) == before and before["controls"] == ["activitynet12", "delu", "1", "1"]
    assert before["title"] == "v4" and before["order"] == ["v1", "v4", "v2", "v3"] and before["span"] == [15, 45]


def view(page):
    controls = ("#x-dataset", "#x-baseline", "#x-seed", "#x-class")
    return {
        "controls": [page.locator(control).input_value() for control in controls],
        "title": page.locator("#x-title").inner_text(),
        "order": [id for id, _ in listed(page)],
        "span": page.evaluate("document.getElementById('x-plot').layout.xaxis.range"),
        "threshold": page.locator("#x-threshold").input_value(),
    }


def test_a_phone_scrolls_nothing_sideways_and_paper_shows_everything(address):
    with opened(address, width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#forest").bounding_box()
        assert box["y"] + box["height"] <= 844
        page.emulate_media(color_scheme="dark")
        paper = "getComputedStyle(document.documentElement).getPropertyValue('--paper')"
        assert page.evaluate(paper) != "#ffffff"
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0 and page.evaluate(paper) == "#ffffff"
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.locator("details[open]").count() == 0 and page.evaluate(paper) != "#ffffff"
