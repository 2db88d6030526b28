"""A script's line of figures as the cells of a table, for people."""

from collections.abc import Mapping

COLUMNS = ("case", "ours", "limit", "ratio", "CPU", "peers", "must reach", "verdict")

Line = Mapping[str, object]


def cells(line: Line, must: str) -> tuple[str, ...]:
    unit = str(line.get("unit", ""))
    peer = line.get("peer", line.get("peers"))
    if isinstance(peer, Mapping):
        peers = ", ".join(f"{name} {_number(value, unit)}" for name, value in peer.items())
    else:
        peers = _number(peer, unit)
    ratio = line.get("ratio")
    if ratio is None and _is_number(line.get("ours")) and _is_number(line.get("limit")):
        ratio = float(str(line["ours"])) / float(str(line["limit"]))
    reached = line.get("reached")
    return (
        str(line["case"]),
        _number(line.get("ours"), unit),
        _number(line.get("limit"), unit),
        f"{ratio:.2f}x" if isinstance(ratio, int | float) else str(ratio or ""),
        " / ".join(_number(line[name], unit) for name in ("cpu", "limit_cpu") if name in line),
        peers,
        str(line.get("must", must)),
        {True: "reached", False: "falls short"}.get(reached, "") if reached is not None else "",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: object, unit: str) -> str:
    if value is None:
        return ""
    if not _is_number(value):
        return str(value)
    number = float(str(value))
    shown = f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
    return f"{shown} {unit}".strip()
