import threading

import pytest

import headgate as hg
from headgate.errors import CheckFailed, Invalid, NotFound, Refused
from headgate.lake import RunState
from headgate.project import open_project


def total(project, **named):
    return project.table("total", **named).to_rows()[0]["total"]


def test_hg_open_is_the_way_in(project):
    with hg.open(project.root) as again:
        assert isinstance(again, hg.Project)
        assert again.name == "squares"


def test_opening_makes_nothing(project):
    assert not project.settings.lake.exists()
    with pytest.raises(NotFound, match="no lake") as caught:
        _ = project.lake
    assert caught.value.hint == "The first  headgate run  makes one."
    assert "no lake yet" in repr(project)


def test_a_run_publishes_and_a_second_has_nothing_to_do(project):
    first = project.run()
    assert (first.state, first.pipeline, first.target) == ("published", "squares", "main")
    assert set(first.tables) == {"numbers", "evens", "total"}
    assert total(project) == 4
    second = project.run()
    assert second.state == "nothing-to-do"
    assert second.commit.id == first.commit.id
    assert first.commit.id[:6] in repr(project)


def test_an_edit_is_seen_by_the_next_run_of_the_same_project(project, numbers, write):
    project.run()
    write("squares.py", numbers().read_text().replace("n * n", "n + n"))
    assert project.run().state == "published"
    assert total(project) == 4 - 4 + 4


def test_a_broken_contract_publishes_nothing_and_the_branch_is_kept(project, numbers):
    project.run()
    before = total(project)
    numbers(most=3)
    with pytest.raises(CheckFailed) as caught:
        project.run()
    run = caught.value.facts["run"]
    assert total(project) == before
    assert project.find_run(run).state is RunState.FAILED
    assert project.at(f"run/{run}").table("numbers").rows == 4
    numbers(most=10_000)
    with pytest.raises(Refused):
        project.adopt(project.run().id)


def test_a_run_is_resumed_with_edited_code(project, numbers):
    numbers(most=3)
    with pytest.raises(CheckFailed) as caught:
        project.run()
    numbers(most=100)
    resumed = project.resume(caught.value.facts["run"][:4])
    assert (resumed.state, resumed.id) == ("published", caught.value.facts["run"])


def test_parameters_go_from_code_to_file_to_environment_to_the_caller(numbers, opened, write):
    assert opened().run().steps[0].rows_out == 4
    settings = '[project]\nname = "squares"\npipelines = ["squares.py"]\n'
    write("headgate.toml", settings + "[parameters]\ncount = 5\n")
    assert opened().run().steps[0].rows_out == 5
    by_environment = opened(environment={"HEADGATE_PARAM_COUNT": "6"})
    assert by_environment.run().steps[0].rows_out == 6
    assert by_environment.run(parameters={"count": 7}).steps[0].rows_out == 7
    assert by_environment.run(parameters=["numbers.count=8"]).steps[0].rows_out == 8


def test_parameters_of_the_caller_hold_when_the_run_is_resumed(project, numbers):
    numbers(most=3)
    with pytest.raises(CheckFailed) as caught:
        project.run(parameters={"count": 6})
    numbers(most=100)
    assert project.resume(caught.value.facts["run"]).steps[0].rows_out == 6


def test_a_default_edited_before_resuming_is_the_one_that_counts(project, numbers, write):
    numbers(most=3)
    with pytest.raises(CheckFailed) as caught:
        project.run()
    write("squares.py", numbers(most=3).read_text().replace("count: int = 4", "count: int = 2"))
    assert project.resume(caught.value.facts["run"]).steps[0].rows_out == 2


def test_an_unknown_parameter_is_refused_before_anything_is_made(project):
    with pytest.raises(Invalid, match="cuont"):
        project.run(parameters={"cuont": 1})
    assert not project.settings.lake.exists()


def test_a_branch_is_made_off_the_target_and_the_target_stays(project):
    project.run()
    project.run(branch="dev", parameters={"count": 6})
    assert total(project) == 4
    assert total(project, ref="dev") == 20
    merged = project.merge("dev")
    assert merged.state == "published"
    assert total(project) == 20


def test_some_of_the_steps_run_with_what_they_need_on_a_branch_only(project):
    project.run()
    with pytest.raises(Refused, match="protected"):
        project.run(steps=["evens"])
    done = project.run(branch="dev", steps=["evens"], parameters={"count": 6})
    assert [step.step for step in done.steps] == ["numbers", "evens"]


def test_a_view_stays_at_its_commit(project):
    project.run()
    view = project.at("main")
    project.run(parameters={"count": 6})
    assert view.table("total").to_rows() == [{"total": 4}]
    assert view.sql("select * from total").to_rows() == [{"total": 4}]
    assert total(project) == 20
    assert total(project, ref="main~1") == 4


def test_a_table_comes_in_every_form(project):
    project.run()
    table = project.table("numbers")
    rows = [{"n": n, "square": n * n} for n in range(4)]
    assert table.rows == 4
    assert table.schema.names == ["n", "square"]
    assert table.to_rows() == rows
    assert table.to_polars().to_dicts() == rows
    assert table.scan().collect().to_dicts() == rows
    assert table.to_arrow().to_pylist() == rows
    assert table.iceberg().scan().to_arrow().to_pylist() == rows


def test_a_query_comes_in_every_form_and_takes_parameters(project):
    project.run()
    query = project.at("main").sql("select n from numbers where n >= $least", {"least": 3})
    assert query.to_rows() == [{"n": 3}]
    assert query.to_polars().to_dicts() == [{"n": 3}]
    with query.reader() as reader:
        assert reader.read_all().to_pylist() == [{"n": 3}]


def test_tables_and_queries_come_as_pandas_frames(project):
    pytest.importorskip("pandas")
    project.run()
    table = project.table("numbers").to_pandas()
    assert table.to_dict("records") == [{"n": n, "square": n * n} for n in range(4)]
    query = project.at("main").sql("select max(n) as n from numbers")
    assert query.to_pandas().to_dict("records") == [{"n": 3}]


def test_an_unknown_table_is_named_with_what_was_meant(project):
    project.run()
    with pytest.raises(NotFound, match="'nubmers'") as caught:
        project.table("nubmers")
    assert caught.value.hint == "Did you mean numbers?"
    with pytest.raises(NotFound, match="'nubmers'"):
        project.at("main").sql("select * from nubmers").to_arrow()


def test_names_in_a_query_are_found_however_they_are_written(project):
    project.run()
    view = project.at("main")
    assert view.sql('select count(*) as c from "numbers"').to_rows() == [{"c": 4}]
    assert view.sql("select count(*) as c from Numbers as x, evens e").to_rows() == [{"c": 8}]


def test_a_transaction_by_hand_publishes_whole_or_not_at_all(project):
    project.run()
    with project.transaction("main", name="manual-fix") as tx:
        tx.write("evens", [{"n": 100, "square": 10_000}])
    assert tx.result.state == "published"
    assert project.table("evens").rows == 3
    with pytest.raises(ZeroDivisionError), project.transaction() as tx:
        tx.write("evens", [{"n": 102, "square": 10_404}])
        1 / 0  # noqa: B018
    assert project.table("evens").rows == 3


def test_a_run_is_taken_back(project):
    first = project.run()
    second = project.run(parameters={"count": 6})
    plan = project.plan_revert(second.id[:6])
    assert plan.run == second.id
    assert total(project) == 20
    project.revert(second.id[:6])
    assert total(project) == 4
    assert project.at("main~2").commit.id == first.commit.id


def test_a_plan_says_what_would_run_and_makes_nothing(project):
    plan = project.plan()
    assert [(step.step, step.action) for step in plan.steps] == [
        ("numbers", "run"),
        ("evens", "maybe"),
        ("total", "maybe"),
    ]
    assert not project.settings.lake.exists()
    project.run()
    assert project.plan().nothing_to_do
    assert project.plan(parameters={"count": 1}).steps[0].action == "run"


def test_contracts_are_shown_and_judged(project):
    project.run()
    assert list(project.contracts()) == ["numbers"]
    assert project.contract("numbers").name == "Number"
    assert [verdict.table for verdict in project.check()] == ["numbers"]
    with pytest.raises(NotFound, match="no contract"):
        project.check(table="total")


def test_the_history_is_listed_and_compared(project):
    project.run()
    project.run(parameters={"count": 6})
    assert [commit.number for commit in project.log()] == [2, 1, 0]
    assert [commit.number for commit in project.log(table="total", limit=1)] == [2]
    changed = {change.key for change in project.diff("main~1", "main")}
    assert {"table/numbers", "table/evens", "table/total"} <= changed


def test_runs_are_found_by_the_first_digits(project):
    run = project.run()
    assert project.find_run(run.id[:4]).id == run.id
    assert project.find_run(f"run/{run.id}").id == run.id
    with pytest.raises(NotFound, match="There is no run"):
        project.find_run("zzzz")


def test_listeners_hear_a_run_and_its_log_has_no_rows(project, numbers, opened):
    heard = []
    run = project.run(listeners=[heard.append])
    assert type(heard[0]).__name__ == "RunStarted"
    assert type(heard[-1]).__name__ == "RunPublished"
    lines = project.logs.path(run.id).read_text().splitlines()
    assert len(lines) >= len(heard)
    numbers(most=3)
    with pytest.raises(CheckFailed) as caught:
        project.run()
    log = project.logs.path(caught.value.facts["run"]).read_text()
    assert "contract-judged" in log
    assert '"examples"' not in log


def test_projects_print_well(project):
    project.run()
    assert repr(project).startswith(f"<Project squares in {project.root}: main@")
    assert "evens, numbers, total" in repr(project.at("main"))
    assert "4 rows of n long, square long" in repr(project.table("numbers"))
    assert "total" in repr(project.at("main").sql("select * from total"))
    for thing in (project, project.at("main"), project.table("total")):
        assert "<table" in thing._repr_html_()


def test_a_closed_project_opens_again(project):
    project.run()
    project.close()
    project.close()
    assert total(project) == 4


def test_two_threads_use_one_project(project):
    project.run()
    failed = []

    def read():
        try:
            assert total(project) == 4
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_two_projects_in_one_process_do_not_meet(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "headgate.toml").write_text('[project]\nname = "others"\npipelines = ["squares.py"]\n')
    text = (project.root / "squares.py").read_text().replace("n * n", "-n * 0 + 7")
    (other / "squares.py").write_text(text)
    with open_project(other, environment={}) as second:
        second.run()
        project.run()
        assert total(second) == 14
        assert total(project) == 4


def test_a_project_without_pipelines_says_where_it_looked(write, opened):
    write("headgate.toml", "")
    write("other.py", "import json\n")
    with pytest.raises(NotFound, match="declares no steps; looked into: no file"):
        opened().run()


def test_several_pipelines_must_be_named(write, opened):
    write("headgate.toml", "")
    write(
        "two.py",
        "import headgate as hg\n"
        'a = hg.sql_step("select 1 as x")\nb = hg.sql_step("select 2 as x")\n'
        "first = hg.pipeline(a)\nsecond = hg.pipeline(b)\n",
    )
    project = opened()
    with pytest.raises(Invalid, match="first, second"):
        project.run()
    with pytest.raises(NotFound, match="'frist'") as caught:
        project.run("frist")
    assert caught.value.hint == "Did you mean first?"
    assert project.run("first").tables == ("a",)
    assert project.run("second").tables == ("b",)
