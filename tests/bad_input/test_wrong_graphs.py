"""Steps that cannot form a graph: known before anything runs."""

import pytest


@pytest.mark.parametrize("command", ["run", "plan", "graph"])
def test_steps_in_a_circle_are_all_shown(place, command):
    place.steps(
        'a = hg.sql_step("select * from b")\n'
        'b = hg.sql_step("select * from c")\n'
        'c = hg.sql_step("select * from a")\n'
    )
    error = place.error(command, exits=2)
    assert error["code"] == "step-cycle"
    for edge in ("a reads b (shop.py:10)", "b reads c (shop.py:11)", "c reads a (shop.py:12)"):
        assert edge in error["message"]
    assert error["hint"] == "Take one of these away."
    assert not (place.root / "lake").exists()


def test_a_step_that_reads_itself_is_a_circle(place):
    place.steps('a = hg.sql_step("select * from a")\n')
    assert "a reads a" in place.error("run", exits=2)["message"]


def test_two_steps_that_write_one_table_are_both_shown(place):
    place.steps('other = hg.sql_step("select 1 as n", table="numbers")\n')
    error = place.error("run", exits=2)
    assert error["code"] == "table-written-twice"
    assert "shop.py:6" in error["message"]
    assert "shop.py:10" in error["message"]
    assert not (place.root / "lake").exists()


def test_a_table_of_another_pipeline_is_not_replaced(published):
    head = published.head()
    published.write("headgate.toml", '[project]\nname = "other"\n')
    said = published("run", "--force", exits=7)
    assert "numbers belongs to the pipeline shop; other may not replace it." in said.err
    assert "--take-over numbers" in said.err
    published.is_unchanged(head, said)


def test_a_table_that_nobody_makes_is_named_before_anything_runs(place):
    place.steps('a = hg.sql_step("select * from nubmers")\n')
    error = place.error("run", exits=6)
    assert error["code"] == "input-unknown"
    assert "Step a (shop.py:10) needs the table nubmers" in error["message"]
    assert "numbers" in error["hint"]


def test_a_table_dropped_before_the_run_is_missed_and_one_dropped_in_it_is_not(place):
    place.steps('up = hg.sql_step("select * from numbers")\n')
    place("run")
    place.steps(
        """
        import polars as pl

        @hg.step
        def use(up: pl.DataFrame) -> pl.DataFrame:
            from headgate.project import open_project

            with open_project(ROOT, environment={}) as project, project.transaction() as tx:
                tx.drop("up")
            return up
        """.replace("ROOT", repr(str(place.root)))
    )
    assert "Published 1 table" in place("run").err  # it read the table before it was dropped
    assert place.rows("select count(*) as n from use") == [{"n": 5}]
    assert place.error("run", "--force", exits=6)["code"] == "input-unknown"
