"""Contracts by name: files of a project's directory, read with the steps that name them."""

import pytest

import headgate as hg
from headgate.errors import Invalid, NotFound

PIPELINE = """
import headgate as hg

orders = hg.files("orders.csv", contract="{name}")
"""
CONTRACT = """
columns:
  id: long
  amount:
    type: double
    between: {low: 0, high: 100, severity: quarantine}
rules:
  - unique: id
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "orders.csv").write_text("id,amount\n1,5\n2,500\n")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "orders.yaml").write_text(CONTRACT)

    def made(name="orders"):
        (tmp_path / "shop.py").write_text(PIPELINE.format(name=name))
        return hg.open(tmp_path)

    made.root = tmp_path
    return made


def test_a_step_takes_its_contract_from_the_file(project):
    with project() as opened:
        opened.run()
        assert opened.contract("orders").name == "orders"
        assert opened.table("orders").rows == 1


def test_a_changed_file_is_a_changed_contract(project):
    with project() as opened:
        opened.run()
        changed = CONTRACT.replace("high: 100", "high: 1000")
        (project.root / "contracts" / "orders.yaml").write_text(changed)
        opened.run()
        assert opened.table("orders").rows == 2


def test_a_name_without_a_file_is_refused_with_the_step_and_a_suggestion(project):
    with project("order") as opened, pytest.raises(NotFound, match="Step orders") as caught:
        opened.run()
    assert caught.value.code == "unknown-contract"
    assert "Did you mean 'orders'?" in str(caught.value)


def test_a_name_cannot_leave_the_directory(project):
    (project.root / "secret.yaml").write_text(CONTRACT)
    with project("../secret") as opened, pytest.raises(NotFound):
        opened.run()


def test_a_mistake_in_the_file_begins_with_file_and_line(project):
    (project.root / "contracts" / "orders.yaml").write_text("columns:\n  id: lonk\n")
    with project() as opened, pytest.raises(Invalid, match=r"^contracts/orders\.yaml:2: 'lonk'"):
        opened.run()
