"""Mutants of files for the fuzzing: bytes changed, or values where a file has a structure."""

import copy
import json

import yaml

NASTY = (
    *(None, True, 0, -1, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), 2**63, 2**64, 500),
    *("", "x", "\ud800", "ü", "\0", "$x$", "a\nb", [], {}, [1], [[]], {"x": 1}, [None], "NaN", "1e999", [0.1] * 3),
)
PIECES = (*(bytes([b]) for b in b"0123456789-e.,:[]{}()\"'\\ \n\0\xff"), b"\x80", b"NaN", b"1e999", b"null", b"\\ud800")


def changed_bytes(whole, draw):
    """``whole`` with a few bytes flipped, cut, put in, or repeated."""
    mutant = bytearray(whole)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        reach = min(len(mutant), draw.choice((128, 1024, len(mutant) + 1)))  # headers come first
        place, kind = draw.randrange(reach + 1), draw.randrange(7)
        if kind == 0:
            mutant[place : place + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            mutant[place : place + draw.randrange(1, 64)] = b""
        elif kind == 2:
            piece = draw.choice(PIECES)
            mutant[place : place + len(piece)] = piece
        elif kind == 3:
            mutant[place:place] = draw.choice(PIECES) * draw.choice((1, 1, 2, 30))
        elif kind == 4:
            start = draw.randrange(len(mutant) + 1)
            mutant[place:place] = mutant[start : start + draw.randrange(200)]
        elif kind == 5 and mutant:
            place %= len(mutant)
            mutant[place] ^= 1 << draw.randrange(8)
        elif kind == 6 and draw.random() < 0.2:
            mutant = mutant[:place]
    return bytes(mutant)


def changed_values(path, whole, draw):
    """The JSON or YAML ``whole`` with one value replaced, removed, or there twice; or nested deep."""
    yaml_file = path.suffix == ".yaml"
    if draw.random() < 0.02:
        return b'{"x":[' * draw.choice((100, 2000, 100_000)) if not yaml_file else b"[" * draw.choice((100, 3000))
    if draw.random() < 0.05 and not yaml_file:
        return whole.replace(b'"a"', b'"b"', draw.choice((1, 2))).replace(b'"label"', b'"segment"', draw.randrange(2))
    content = replaced(yaml.safe_load(whole) if yaml_file else json.loads(whole), draw)
    try:
        return (yaml.safe_dump(content) if yaml_file else json.dumps(content)).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError):
        return whole + b" "


def replaced(content, draw):
    """A copy of ``content`` in which something nasty took the place of one value, or one value is gone."""
    content = copy.deepcopy(content)
    parent, node = None, content
    while isinstance(node, (dict, list)) and node and (parent is None or draw.random() < 0.75):
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
        parent, node = node, node[key]
    if parent is None:
        return draw.choice(NASTY)
    kind = draw.random()
    if kind < 0.1:
        del parent[key]
    elif kind < 0.15 and isinstance(parent, list):
        parent.append(node)
    elif kind < 0.2 and isinstance(parent, dict):
        parent[str(draw.choice(NASTY))] = node
    else:
        parent[key] = draw.choice(NASTY)
    return content
