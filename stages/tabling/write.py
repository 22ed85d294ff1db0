"""Tables as CSV, Markdown and LaTeX.

A table is a list of rows, which are dicts of column name to cell; a column that a row lacks is an empty cell there.
"""

import csv

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "_": r"\_",
        "#": r"\#",
        "%": r"\%",
        "±": r"$\pm$",
        "✓": r"$\checkmark$",
        "×": r"$\times$",
        "–": "--",
    }
)


def grid(rows):
    """The column names in the order in which the ``rows`` first have them, and the cells of every row in that order."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[row.get(name, "") for name in columns] for row in rows]


def markdown(rows):
    """The table in Markdown."""
    columns, cells = grid(rows)
    lines = [columns, ["---"] * len(columns), *cells]
    escaped = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def latex_text(value):
    """A cell or a caption in LaTeX."""
    return str(value).translate(LATEX)


def latex_line(cells):
    """One line of a LaTeX table."""
    return " & ".join(map(latex_text, cells)) + r" \\"


def latex(rows, caption, note=None):
    """The table in LaTeX, in the rules of booktabs."""
    columns, cells = grid(rows)
    lines = [
        r"\begin{table}",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
        r"\toprule",
        latex_line(columns),
        r"\midrule",
        *map(latex_line, cells),
        r"\bottomrule",
        r"\end{tabular}",
        *([latex_text(note)] if note else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def read_csv(path):
    """The table at ``path``; every cell is text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    """Write the table to ``path``."""
    columns, cells = grid(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *cells])


def write_table(folder, name, rows, caption, note=None):
    """Write the table to ``folder`` as CSV, Markdown and LaTeX, the last two with ``caption`` and ``note``."""
    write_csv(folder / f"{name}.csv", rows)
    below = f"\n{note}\n" if note else ""
    (folder / f"{name}.md").write_text(f"**{caption}**\n\n{markdown(rows)}\n{below}", encoding="utf-8", newline="\n")
    (folder / f"{name}.tex").write_text(latex(rows, caption, note), encoding="utf-8", newline="\n")
