from datetime import UTC, datetime, timedelta

import pytest
from screens import terminal

from headgate import events
from headgate.cli.progress import Progress
from headgate.clock import ManualClock
from headgate.verdicts import CheckResult, Severity, State, Verdict

RUN = "7f3a00000000"
AT = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "c41d09aaaaaa"
NEXT = "9be2f1bbbbbb"


class Told:
    """What a person reads of a run that happens as these events say."""

    def __init__(self, **of_terminal):
        self.terminal = terminal(**of_terminal)
        self.clock = ManualClock()
        self.progress = Progress(self.terminal, self.clock)

    def tell(self, kind, **facts):
        self.progress(kind(run=RUN, at=AT, **facts))

    def start(self, *steps, attempt=1):
        self.tell(
            events.RunStarted,
            pipeline="flights_2013",
            target="main",
            base=BASE,
            attempt=attempt,
            steps=steps,
        )

    def finish(self, step, rows, quarantined=0, wall_s=0.1, **reasons):
        self.tell(events.StepStarted, step=step, attempt=1)
        self.tell(
            events.StepFinished,
            step=step,
            attempt=1,
            rows=rows,
            rows_quarantined=quarantined,
            wall_s=wall_s,
            cpu_s=wall_s,
            quarantine_reasons=reasons,
        )

    def judge(self, table, *results):
        state = State.PASSED
        if any(not r.passed and r.severity is Severity.FAIL for r in results):
            state = State.FAILED
        verdict = Verdict(
            table=table, contract="c", evaluator="1", contents={}, state=state, results=results
        )
        self.tell(events.ContractJudged, verdict=verdict, wall_s=0.1)

    def publish(self, *tables):
        self.tell(events.RunPublished, target="main", commit=NEXT, tables=tables, wall_s=1.0)

    @property
    def words(self):
        self.progress.close()
        assert self.terminal.out.getvalue() == ""
        return self.terminal.err.getvalue()


def passed(name):
    return CheckResult(check=name, severity=Severity.FAIL, violations=0)


def violated(name, rows, severity=Severity.FAIL, **more):
    return CheckResult(check=name, severity=severity, violations=rows, **more)


def test_a_run_that_publishes():
    told = Told()
    told.start("airlines", "flights", "delays")
    told.finish("airlines", 16)
    told.finish(
        "flights", 286_682, quarantined=50_094, wall_s=3.21, **{"tailnum not in planes": 50_094}
    )
    told.finish("delays", 320)
    told.judge(
        "flights", passed("a"), passed("b"), violated("dest not in airports", 7602, Severity.WARN)
    )
    told.judge("delays", passed("c"))
    told.publish("airlines", "flights", "delays")
    assert told.words == (
        "flights_2013  run 7f3a  on main@c41d09\n"
        "  ✓ airlines   16 rows\n"
        "  ✓ flights    286,682 rows   50,094 quarantined (tailnum not in planes)   3.2 s\n"
        "  ✓ delays     320 rows\n"
        "  ✓ 3 checks passed, 1 warning: dest not in airports, 7,602 rows\n"
        "Published 3 tables to main as 9be2f1.   Quarantine: headgate quarantine show flights\n"
    )


def test_a_run_with_nothing_to_do_is_one_line():
    told = Told()
    told.start("airlines", "flights")
    told.tell(events.StepSkipped, step="airlines", commit=NEXT)
    told.tell(events.StepSkipped, step="flights", commit=NEXT)
    told.tell(events.RunFoundNothing, target="main", commit=NEXT)
    assert told.words == "Nothing to do: code, parameters and inputs are those of 9be2f1.\n"


def test_skipped_steps_are_shown_when_others_work():
    told = Told()
    told.start("airlines", "flights")
    told.tell(events.StepSkipped, step="airlines", commit=NEXT)
    told.finish("flights", 1)
    assert told.words == (
        "flights_2013  run 7f3a  on main@c41d09\n"
        "  = airlines   as in 9be2f1\n"
        "  ✓ flights    1 row\n"
    )


def test_a_failed_check_is_shown_with_an_example():
    told = Told()
    told.start("delays")
    told.finish("delays", 320)
    told.judge(
        "delays",
        violated(
            "median_delay between -60 and 1500",
            12,
            examples=({"name": "Envoy Air", "hour": 4, "median_delay": 2043.0},),
        ),
    )
    told.tell(events.RunFailed, state="failed", code="checks-failed", message="...")
    assert told.words.splitlines()[-1] == (
        "  ✗ delays: median_delay between -60 and 1500: 12 rows, "
        "for example (name='Envoy Air', hour=4, median_delay=2043.0)"
    )


def test_a_failed_step_is_shown_with_its_own_frames():
    told = Told()
    told.start("delays")
    told.tell(events.StepStarted, step="delays", attempt=1)
    told.tell(
        events.StepFailed,
        step="delays",
        attempt=1,
        code="step-raised",
        message="Step delays raised ZeroDivisionError: division by zero",
        traceback="flights.py:31 in delays\n  1 / 0\n",
    )
    assert told.words.splitlines()[1:] == [
        "  ✗ delays: raised ZeroDivisionError: division by zero",
        "      flights.py:31 in delays",
        "        1 / 0",
    ]


def test_a_run_without_tables_says_so():
    told = Told()
    told.start("mail")
    told.finish("mail", None)
    told.tell(events.RunDone, target="main", commit=BASE, wall_s=0.1)
    assert told.words.splitlines()[1:] == [
        "  ✓ mail",
        "Done. No step has a table, so there is nothing to publish.",
    ]


def test_a_conflict_says_what_runs_again():
    told = Told()
    told.start("delays")
    told.finish("delays", 1)
    told.tell(
        events.ConflictMet, head=NEXT, because="flights was replaced", steps=("delays",), losses=1
    )
    assert told.words.splitlines()[-1] == (
        "  ↻ main moved to 9be2f1: flights was replaced; delays again"
    )


def test_several_warnings_have_a_line_each_and_only_the_last_verdict_counts():
    told = Told()
    told.start("a")
    told.finish("a", 1)
    told.judge("a", violated("old", 1, Severity.WARN))
    told.judge("a", violated("one", 1, Severity.WARN), violated("two", 2, Severity.WARN))
    told.publish("a")
    assert told.words.splitlines()[2:5] == [
        "  ✓ 0 checks passed, 2 warnings:",
        "      one, 1 row",
        "      two, 2 rows",
    ]


def test_a_taken_up_run_says_which_attempt_it_is():
    told = Told()
    told.start("a", attempt=2)
    told.finish("a", 1)
    assert told.words.startswith("flights_2013  run 7f3a  on main@c41d09   attempt 2\n")


def test_where_signs_cannot_be_written_letters_are():
    told = Told(encoding="ascii")
    told.start("a")
    told.finish("a", 1)
    assert "  + a   1 row\n" in told.words


def test_what_takes_a_moment_is_not_drawn_moving():
    told = Told(live=True, TERM="xterm")
    told.start("a")
    told.tell(events.StepStarted, step="a", attempt=1)
    told.tell(events.RunFoundNothing, target="main", commit=NEXT)
    assert told.words == "Nothing to do: code, parameters and inputs are those of 9be2f1.\n"


def test_a_drawing_that_comes_too_late_is_not_begun():
    told = Told(live=True, TERM="xterm")
    told.start("a")
    told.tell(events.StepStarted, step="a", attempt=1)
    told.tell(events.RunFoundNothing, target="main", commit=NEXT)
    told.progress._move()
    assert told.words.count("\n") == 1
    assert "\x1b[?25l" not in told.words


def test_when_all_steps_are_done_the_checks_are_under_way():
    told = Told(live=True, TERM="xterm")
    told.start("a")
    told.finish("a", 1)
    told.clock.move(timedelta(seconds=3))
    assert told.progress._running_lines() == ["  … checking   3.0 s"]


def test_what_takes_longer_is_drawn_below_what_stays():
    told = Told(live=True, TERM="xterm")
    told.start("a", "b")
    told.tell(events.StepStarted, step="a", attempt=1)
    told.tell(events.StepStarted, step="b", attempt=1)
    told.progress._move()
    told.finish("a", 1)
    assert "\x1b[32m✓\x1b[0m a" in told.words.replace("\x1b[0m\x1b[32m", "\x1b[32m")
    assert "… b" in told.words


def test_a_terminal_sees_colours_and_what_is_under_way():
    told = Told(live=True, TERM="xterm")
    told.start("slow")
    told.tell(events.StepStarted, step="slow", attempt=1)
    told.clock.move(timedelta(seconds=75))
    told.tell(events.StepProgressed, step="slow", rows=1_000_000)
    assert told.progress._running_lines() == ["  … slow   1,000,000 rows   1 min 15 s"]
    told.tell(
        events.StepFinished,
        step="slow",
        attempt=1,
        rows=2_000_000,
        rows_quarantined=0,
        wall_s=75.0,
        cpu_s=75.0,
        quarantine_reasons={},
    )
    assert "\x1b[32m✓" in told.words
    assert "2,000,000 rows" in told.words


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(environment):
    told = Told(live=True, **environment)
    told.start("a")
    told.finish("a", 1)
    assert "\x1b[3" not in told.words


def test_with_rows_of_several_tables_in_quarantine_the_list_is_named():
    told = Told()
    told.start("flights", "weather")
    told.finish("flights", 3, quarantined=2)
    told.finish("weather", 3, quarantined=1)
    told.publish("flights", "weather")
    assert told.words.endswith("as 9be2f1.   Quarantine: headgate quarantine list\n")


def test_a_publication_that_changes_no_rows_says_so():
    told = Told()
    told.start("flights")
    told.publish()
    assert told.words.endswith("Rows are as before; published to main as 9be2f1.\n")
