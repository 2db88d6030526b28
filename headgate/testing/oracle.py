"""The oracle: random histories through the product's decisions, against every serial order.

    python -m headgate.testing.oracle --histories 20000 --seed 1

plays that many histories with all rules in, and says how each rule is found missing when it is
taken out. A counterexample is made small and told step by step. The last line is a JSON summary.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from headgate.clock import Clock, SystemClock
from headgate.testing.abstract_publisher import World
from headgate.testing.abstract_runs import Decisions, NoProgressError
from headgate.testing.histories import SHAPES, Plan, plan
from headgate.testing.rules import Rules
from headgate.testing.serial_orders import Anomaly, SerialOrders

RULE_SHAPES = {
    "own_reads": "mixed",
    "ordered_operations": "operations",
    "footprints_retaken": "footprints",
    "checkpoint_fence": "zombies",
    "publication_fence": "zombies",
    "appends_only_commute": "appends",
    "write_edges_whole": "graph",
    "low": "graph",
    "operations_applied_again": "operations",
    "predicate_on_every_row": "operations",
    "no_op_needs_current": "outputs",
    "lake_wide_column_ids": "columns",
    "unreverted_skips": "stale",
    "skips_keep_record": "skips",
    "skipped_writes_stand": "skips",
    "skipped_appends_left_out": "skips",
    "recorded_appends": "incremental",
    "own_appends_left_out": "incremental",
    "position_in_record": "incremental",
    "position_reverted": "incremental",
    "followers_replayed": "reverts",
    "cascades_go_on": "cascades",
    "reads_keep_their_commit": "people",
}
"""The family of histories in which each rule is missed soonest."""

SOAKED = tuple(shape for shape in SHAPES if shape != "skew")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A plan that goes wrong, and how."""

    plan: Plan
    anomaly: Anomaly
    histories: int


def judge(
    plan: Plan,
    *,
    rules: Rules | None = None,
    decisions: Decisions | None = None,
    all_bind: bool = False,
    tell: Callable[[str], None] | None = None,
) -> tuple[Anomaly | None, World]:
    """Play a plan and look for a serial order; ``all_bind``: of every run, whatever its level."""
    world = World(plan, rules=rules, decisions=decisions, tell=tell)
    try:
        world.play()
    except NoProgressError as error:
        return Anomaly(kind="no-progress", what=f"{error} never gets through"), world
    units = world.units
    if all_bind:
        units = [replace(unit, binding=not unit.reverts) for unit in units]
    orders = SerialOrders(world.trees[0], units, world.trees[-1], world.shelf)
    return orders.anomaly(), world


def search(
    shapes: Sequence[str],
    histories: int,
    *,
    seed: int = 0,
    rules: Rules | None = None,
    decisions: Decisions | None = None,
    all_bind: bool = False,
) -> Counterexample | None:
    """Give the first history that goes wrong, made small; None where all of them are well."""
    for number, each in enumerate(plans(shapes, histories, seed), start=1):
        anomaly, _ = judge(each, rules=rules, decisions=decisions, all_bind=all_bind)
        if anomaly is not None:

            def goes_wrong(smaller: Plan) -> Anomaly | None:
                return judge(smaller, rules=rules, decisions=decisions, all_bind=all_bind)[0]

            least, anomaly = made_small(each, anomaly, goes_wrong)
            return Counterexample(plan=least, anomaly=anomaly, histories=number)
    return None


def plans(shapes: Sequence[str], histories: int, seed: int) -> Iterator[Plan]:
    """Give histories of these families in turn."""
    for i in range(histories):
        yield plan(seed * 1_000_003 + i, shapes[i % len(shapes)])


def made_small(
    plan: Plan, anomaly: Anomaly, goes_wrong: Callable[[Plan], Anomaly | None]
) -> tuple[Plan, Anomaly]:
    """Take out of a plan what it goes wrong without."""
    while True:
        for smaller in _smaller(plan):
            found = goes_wrong(smaller)
            if found is not None and found.kind == anomaly.kind:
                plan, anomaly = smaller, found
                break
        else:
            return plan, anomaly


def _smaller(plan: Plan) -> Iterator[Plan]:
    for run in sorted({each.run for each in plan.happenings}):
        yield replace(plan, happenings=tuple(each for each in plan.happenings if each.run != run))
    for i, happening in enumerate(plan.happenings):
        if happening.kind != "begin":
            yield replace(plan, happenings=plan.happenings[:i] + plan.happenings[i + 1 :])
    for p, steps in enumerate(plan.pipelines):
        for s, step in enumerate(steps):
            others = [
                (*steps[:s], each, *steps[s + 1 :])
                for each in (
                    *(
                        step._replace(does=step.does[:i] + step.does[i + 1 :])
                        for i in range(len(step.does))
                    ),
                    *(
                        step._replace(looks=step.looks[:i] + step.looks[i + 1 :])
                        for i in range(len(step.looks))
                    ),
                )
            ]
            if len(steps) > 1:
                others.append(steps[:s] + steps[s + 1 :])
            for changed in others:
                yield replace(
                    plan, pipelines=(*plan.pipelines[:p], changed, *plan.pipelines[p + 1 :])
                )


def told(
    plan: Plan,
    *,
    rules: Rules | None = None,
    decisions: Decisions | None = None,
    all_bind: bool = False,
) -> str:
    """Tell a history, and what is wrong with it."""
    lines: list[str] = [f"History {plan.seed} of {plan.shape}:"]
    anomaly, _ = judge(plan, rules=rules, decisions=decisions, all_bind=all_bind, tell=lines.append)
    if anomaly is None:
        lines.append("A serial order exists.")
    else:
        lines.append(f"{anomaly.kind}: {anomaly.what}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Soak: all rules in, then each rule out; 0 if nothing was found, then everything."""
    parser = argparse.ArgumentParser(prog="python -m headgate.testing.oracle", description=__doc__)
    parser.add_argument("--histories", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", choices=sorted(SHAPES), action="append")
    parser.add_argument("--without", choices=Rules.names(), help="take out one rule only")
    parser.add_argument("--isolation", choices=("serializable", "snapshot-isolation"))
    options = parser.parse_args(arguments)
    clock = clock or SystemClock()
    return _Soak(options, clock).run()


class _Soak:
    def __init__(self, options: argparse.Namespace, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.began_s = clock.monotonic_s()
        self.counts: Counter[str] = Counter()

    def run(self) -> int:
        options = self.options
        if options.without:
            return self.without(options.without)
        found = self.soak(options.shape or SOAKED)
        missed = {name: self.rediscovered(name) for name in Rules.names()}
        skew = search(("skew",), 2000, seed=options.seed, all_bind=True)
        summary = {
            "histories": self.counts["histories"],
            "anomalies": self.counts["anomalies"],
            "published": self.counts["published"],
            "executed_again": self.counts["losses"],
            "rules_rediscovered": {name: each for name, each in missed.items() if each},
            "rules_not_found": [name for name, each in missed.items() if not each],
            "write_skew_at_snapshot_isolation": skew is not None,
            "seconds": round(self.clock.monotonic_s() - self.began_s, 1),
        }
        self.say(json.dumps(summary))
        complete = not summary["rules_not_found"] and skew is not None
        return 0 if found is None and complete else 1

    def soak(self, shapes: Sequence[str]) -> Counterexample | None:
        total, first = self.options.histories, None
        for i, each in enumerate(plans(shapes, total, self.options.seed), start=1):
            anomaly, world = judge(each)
            self.counts["histories"] += 1
            self.counts["published"] += len(world.units)
            self.counts["losses"] += world.losses
            if anomaly is not None:
                self.counts["anomalies"] += 1
                if first is None:
                    least, small = made_small(each, anomaly, lambda p: judge(p)[0])
                    first = Counterexample(plan=least, anomaly=small, histories=i)
                    self.say(f"\n{told(least)}")
            if i % 500 == 0 or i == total:
                self.progress(i, total)
        sys.stderr.write("\n")
        return first

    def rediscovered(self, name: str) -> int | None:
        found = search(
            (RULE_SHAPES[name],), 5000, seed=self.options.seed, rules=Rules.without(name)
        )
        return found.histories if found else None

    def without(self, name: str) -> int:
        rules = Rules.without(name)
        shapes = self.options.shape or (RULE_SHAPES[name],)
        found = search(shapes, self.options.histories, seed=self.options.seed, rules=rules)
        if found is None:
            self.say(f"Without {name}: nothing found in {self.options.histories} histories.")
            return 1
        self.say(told(found.plan, rules=rules))
        self.say(f"Found without {name} after {found.histories} histories.")
        return 0

    def progress(self, done: int, total: int) -> None:
        rate = done / max(self.clock.monotonic_s() - self.began_s, 0.001)
        sys.stderr.write(
            f"\r{done:,} of {total:,} histories, {rate:,.0f}/s, "
            f"{self.counts['anomalies']} anomalies "
        )
        sys.stderr.flush()

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
