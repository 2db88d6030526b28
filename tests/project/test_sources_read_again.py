"""How far a source was read counts for the table that holds the rows, and for no other."""

from pathlib import Path

import headgate as hg

PIPELINE = 'import headgate as hg\n\norders = hg.files("orders*.csv", mode="append"{more})\n'


def written(root: Path, more: str) -> None:
    (root / "headgate.toml").write_text("")
    (root / "shop.py").write_text(PIPELINE.format(more=more))


def test_a_table_that_is_named_anew_gets_all_rows(tmp_path: Path) -> None:
    written(tmp_path, "")
    (tmp_path / "orders_1.csv").write_text("id\n1\n2\n")
    with hg.open(tmp_path, environment={}) as project:
        project.run()
        written(tmp_path, ', table="raw.orders"')
        (tmp_path / "orders_2.csv").write_text("id\n3\n")
        project.run()
        assert project.table("raw.orders").rows == 3
        assert project.table("orders").rows == 2


def test_a_table_that_was_dropped_is_read_again(tmp_path: Path) -> None:
    written(tmp_path, "")
    (tmp_path / "orders_1.csv").write_text("id\n1\n2\n")
    with hg.open(tmp_path, environment={}) as project:
        project.run()
        with project.transaction() as tx:
            tx.drop("orders")
        project.run()
        assert project.table("orders").rows == 2
