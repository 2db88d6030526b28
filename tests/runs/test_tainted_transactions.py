"""Rows of a failed run that pass through Python stay what they are."""

import pytest
from workplaces import Workplace

from headgate.errors import Refused


def failed_run(place: Workplace) -> str:
    with pytest.raises(RuntimeError), place.hall.transaction("main") as transaction:
        transaction.write("secret", [{"n": n} for n in (1, 2, 3)])
        raise RuntimeError
    return transaction.id


def test_what_a_transaction_copies_from_a_failed_run_is_tainted(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_branch("dev", f"run/{run}")
    with place.hall.transaction("dev") as transaction:
        rows = transaction.table("secret")
        transaction.write("innocent", rows)
    with place.hall.transaction("dev") as transaction:
        transaction.drop("secret")
    with pytest.raises(Refused, match="innocent"):
        place.hall.merge("dev", "main")


def test_what_was_read_before_an_earlier_write_still_taints(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_branch("dev", f"run/{run}")
    with place.hall.transaction("dev") as transaction:
        rows = transaction.sql("select n from secret")
        transaction.write("plain", [{"k": 1}])
        transaction.write("innocent", rows)
        transaction.drop("secret")
    with pytest.raises(Refused, match="innocent"):
        place.hall.merge("dev", "main")


def test_what_a_transaction_deletes_by_what_it_read_is_tainted(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": k} for k in range(5)])
    run = failed_run(place)
    place.lake.create_branch("dev", f"run/{run}")
    with place.hall.transaction("dev") as transaction:
        (most,) = transaction.sql("select max(n) as n from secret").column("n").to_pylist()
        transaction.delete("t", f"k = {most}")
        transaction.drop("secret")
    with pytest.raises(Refused, match=r"^t hold rows"):
        place.hall.merge("dev", "main")
