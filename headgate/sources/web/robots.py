"""robots.txt: what a host lets be read, by RFC 9309. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, unquote, urlsplit

LARGEST_BYTES: Final = 500 << 10
"""More than the RFC makes a reader take; what is beyond it is not looked at."""

_SAFE: Final = "/%:@!$&'()*+,;=~-._?"
_LONGEST_DELAY_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Allows or forbids paths. ``length`` decides between rules: the longest counts."""

    pattern: re.Pattern[str]
    length: int
    allows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Robots:
    """What one reader may do on one host, and how long it shall wait between two pages."""

    rules: tuple[Rule, ...] = ()
    delay: timedelta = timedelta()

    def allows(self, url: str) -> bool:
        """Say whether an address may be read; where two rules are equally long, it may."""
        parts = urlsplit(url)
        path = _normal(parts.path or "/") + (f"?{_normal(parts.query)}" if parts.query else "")
        if path == "/robots.txt":
            return True
        matching = [rule for rule in self.rules if rule.pattern.match(path)]
        if not matching:
            return True
        longest = max(rule.length for rule in matching)
        return any(rule.allows for rule in matching if rule.length == longest)


EVERYTHING: Final = Robots()
NOTHING: Final = Robots(rules=(Rule(pattern=re.compile("/"), length=1, allows=False),))


def robots_for(text: str, agent: str) -> Robots:
    """Read the rules for a reader: of the groups that name it, else of those for all (``*``).

    Groups that name the same reader are one. Lines that cannot be read are passed over.
    """
    product = re.split(r"[/\s]", agent.strip(), maxsplit=1)[0].lower()
    own: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    named_own = False
    names: set[str] = set()
    in_names = False
    for name, value in _lines(text):
        if name == "user-agent":
            names = {*(names if in_names else ()), value.lower()}
            in_names = True
            named_own = named_own or value.lower() == product
            continue
        if name in {"allow", "disallow", "crawl-delay"}:
            in_names = False
            if product in names:
                own.append((name, value))
            if "*" in names:
                others.append((name, value))
    return _robots(own if named_own else others)


def _robots(lines: Iterable[tuple[str, str]]) -> Robots:
    rules: list[Rule] = []
    delay = timedelta()
    for name, value in lines:
        if name == "crawl-delay":
            try:
                seconds = float(value)
            except ValueError:
                continue
            if 0 <= seconds <= _LONGEST_DELAY_S:
                delay = timedelta(seconds=seconds)
        elif value:  # an empty rule matches nothing
            rules.append(_rule(value, allows=name == "allow"))
    return Robots(rules=tuple(rules), delay=delay)


def _rule(value: str, *, allows: bool) -> Rule:
    ends = value.endswith("$")
    path = _normal(value.removesuffix("$"))
    parts = [re.escape(part) for part in path.split("*")]
    pattern = ".*?".join(parts) + (r"\Z" if ends else "")
    return Rule(pattern=re.compile(pattern, re.DOTALL), length=len(value), allows=allows)


def _lines(text: str) -> Iterable[tuple[str, str]]:
    for line in text.removeprefix("\ufeff").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _normal(path: str) -> str:
    """Write a path with the escapes it needs and no others."""
    return quote(unquote(path, errors="surrogateescape"), safe=_SAFE, errors="surrogateescape")
