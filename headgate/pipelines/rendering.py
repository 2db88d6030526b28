"""A pipeline's graph as a picture: text for terminals, Mermaid, DOT, SVG. Pure."""

from collections.abc import Iterator, Mapping
from html import escape

from headgate.pipelines.graph import Graph, Reason
from headgate.pipelines.steps import Step

_SVG_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">
<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>"""
_WIDTH_PER_LETTER, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 8, 32, 64, 20, 16


def as_text(graph: Graph) -> str:
    """Draw the graph as a tree of what each final table is made of; a repeated step is drawn once.

    A step that nothing depends on is a root. Edges without rows say why they are there.
    """
    lines: list[str] = []
    drawn: set[str] = set()
    for step in graph.steps:
        if not graph.dependents(step.name):
            lines.append(_label(step))
            _branches(graph, step.name, "", drawn, lines)
            drawn.add(step.name)
    return "\n".join(lines)


def as_mermaid(graph: Graph) -> str:
    """Draw the graph for Markdown that knows Mermaid."""
    ids = {step.name: f"s{number}" for number, step in enumerate(graph.steps)}
    shapes = {"ingest": ("[(", ")]"), "sql": ("[/", "/]"), "function": ("[", "]")}
    lines = ["flowchart LR"]
    for step in graph.steps:
        left, right = shapes[step.kind]
        lines.append(f'  {ids[step.name]}{left}"{escape(_label(step))}"{right}')
    for upstream, name, reason in _edges(graph):
        arrow = "-->" if reason == "reads" else f"-. {reason} .->"
        lines.append(f"  {ids[upstream]} {arrow} {ids[name]}")
    return "\n".join(lines)


def as_dot(graph: Graph) -> str:
    """Draw the graph for Graphviz."""
    shapes = {"ingest": "cylinder", "sql": "parallelogram", "function": "box"}
    lines = ["digraph pipeline {", "  rankdir=LR;"]
    lines += [
        f"  {_quoted(step.name)} [shape={shapes[step.kind]}, label={_quoted(_label(step))}];"
        for step in graph.steps
    ]
    for upstream, name, reason in _edges(graph):
        style = "" if reason == "reads" else f" [style=dashed, label={_quoted(reason)}]"
        lines.append(f"  {_quoted(upstream)} -> {_quoted(name)}{style};")
    return "\n".join([*lines, "}"])


def as_svg(graph: Graph) -> str:
    """Draw the graph as an SVG that needs nothing else; a column per distance from the sources."""
    places, width, height = _layout(graph)
    parts = [_SVG_HEAD.format(width=width, height=height)]
    for upstream, name, reason in _edges(graph):
        x1, y1, w1 = places[upstream]
        x2, y2, _ = places[name]
        start, end, bend = x1 + w1, x2, (x2 - x1 - w1) // 2
        dashes = "" if reason == "reads" else ' stroke-dasharray="4 3"'
        parts.append(
            f'<path d="M{start} {y1 + _HEIGHT // 2} C{start + bend} {y1 + _HEIGHT // 2} '
            f'{end - bend} {y2 + _HEIGHT // 2} {end} {y2 + _HEIGHT // 2}" fill="none" '
            f'stroke="#667"{dashes} marker-end="url(#to)"/>'
        )
    fills = {"ingest": "#e3f1e6", "sql": "#e6ecf8", "function": "#f8f0de"}
    for step in graph.steps:
        x, y, w = places[step.name]
        parts.append(
            f'<g><title>{escape(step.description or step.name)}</title><rect x="{x}" y="{y}" '
            f'width="{w}" height="{_HEIGHT}" rx="6" fill="{fills[step.kind]}" stroke="#667"/>'
            f'<text x="{x + w // 2}" y="{y + 21}" text-anchor="middle">{escape(_label(step))}'
            "</text></g>"
        )
    return "\n".join([*parts, "</svg>"])


def _label(step: Step) -> str:
    plain = step.tables in ((), (step.name,))
    return step.name if plain else f"{step.name} -> {', '.join(step.tables)}"


def _edges(graph: Graph) -> Iterator[tuple[str, str, Reason]]:
    for step in graph.steps:
        for upstream in graph.upstream(step.name):
            yield upstream, step.name, graph.reason(step.name, upstream)


def _branches(graph: Graph, name: str, indent: str, drawn: set[str], lines: list[str]) -> None:
    below: list[tuple[str, str | None]] = [
        (
            _label(graph[upstream])
            + (
                ""
                if graph.reason(name, upstream) == "reads"
                else f" ({graph.reason(name, upstream)})"
            ),
            upstream,
        )
        for upstream in graph.upstream(name)
    ]
    below += [
        (f"{table} (in the lake)", None)
        for table, readers in graph.external.items()
        if name in readers
    ]
    for number, (label, upstream) in enumerate(below):
        last = number == len(below) - 1
        again = upstream in drawn and bool(graph.upstream(upstream or ""))
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{label}{' …' if again else ''}")
        if upstream is not None and not again:
            _branches(graph, upstream, indent + ("   " if last else "│  "), drawn, lines)
            drawn.add(upstream)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _layout(graph: Graph) -> tuple[Mapping[str, tuple[int, int, int]], int, int]:
    """Give each step its (x, y, width), and the picture's width and height."""
    column: dict[str, int] = {}
    for name in graph.order:
        column[name] = 1 + max((column[one] for one in graph.upstream(name)), default=-1)
    columns: dict[int, list[str]] = {}
    for name in graph.order:
        columns.setdefault(column[name], []).append(name)
    places: dict[str, tuple[int, int, int]] = {}
    x = _MARGIN
    for number in sorted(columns):
        width = max(len(_label(graph[name])) for name in columns[number]) * _WIDTH_PER_LETTER + 24
        for row, name in enumerate(columns[number]):
            places[name] = (x, _MARGIN + row * (_HEIGHT + _GAP_Y), width)
        x += width + _GAP_X
    rows = max((len(names) for names in columns.values()), default=0)
    return places, max(x - _GAP_X, 0) + _MARGIN, 2 * _MARGIN + rows * (_HEIGHT + _GAP_Y)
