"""A publication whose answer is lost took place once, and what is said of it is true."""

from collections.abc import Callable

import pytest
from workplaces import Workplace

from headgate.errors import Interrupted, Refused
from headgate.lake import Outcome, RunState

APPEND = """
import headgate as hg
import polars as pl

@hg.step(mode="append")
def events() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2, 3]})
"""


def lose_answers(
    place: Workplace, patch: pytest.MonkeyPatch, error: type[BaseException]
) -> Callable[..., Outcome]:
    store = type(place.lake.metastore)
    publish: Callable[..., Outcome] = store.publish

    def then_fail(*args: object, **more: object) -> Outcome:
        publish(*args, **more)
        raise error

    patch.setattr(store, "publish", then_fail)
    return publish


def test_a_commit_whose_answer_is_lost_is_looked_up(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        lose_answers(place, patch, OSError)
        result = place.hall.run(place.pipeline(APPEND), target="main")
    assert result.state is RunState.PUBLISHED
    assert result.commit.id == place.head()
    assert len(place.rows("events")) == 3


def test_who_interrupts_after_the_commit_is_told_that_it_is_published(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = place.pipeline(APPEND)
    with monkeypatch.context() as patch, pytest.raises(Interrupted) as stopped:
        lose_answers(place, patch, KeyboardInterrupt)
        place.hall.run(pipeline, target="main")
    assert stopped.value.readers is not None
    assert place.head()[:6] in stopped.value.readers
    assert "resume" not in (stopped.value.hint or "")
    with pytest.raises(Refused, match="is over"):
        place.hall.resume(str(stopped.value.facts["run"]), pipeline)
    place.hall.run(pipeline, target="main")
    assert len(place.rows("events")) == 3
