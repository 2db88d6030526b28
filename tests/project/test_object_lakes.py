"""A project whose lake is in an object store: the same in every way, and keys are shown nowhere."""

import json
import os
import subprocess
import sys
import uuid

import pytest

pytest.importorskip("obstore")

import polars as pl
import pyarrow as pa

import headgate as hg
from headgate.errors import HeadgateError, Invalid, Refused, Unavailable

SOURCE = """
import headgate as hg
import polars as pl

class Number(hg.Contract, rules=(hg.unique("n"),)):
    n: int
    part: str

@hg.step(contract=Number)
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"n": range(1000), "part": ["a", "b"] * 500})

parts = hg.sql_step("select part, count(*) as rows from numbers group by part order by part")
"""
SECRETS = ("AKIASHOWNNOWHERE", "s3cr3t/k3y", "t0k3n+")
KEYS = dict(
    zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), SECRETS, strict=True)
)


@pytest.fixture
def root(tmp_path, object_server):
    (tmp_path / "headgate.toml").write_text(
        f"""
        [lake]
        location = "s3://lake/projects/{uuid.uuid4()}"
        metastore = "metastore.sqlite"
        endpoint = "{object_server.endpoint}"
        region = "eu-central-1"
        allow_http = true
        """
    )
    (tmp_path / "numbers_project.py").write_text(SOURCE)
    return tmp_path


def count(project, ref):
    return project.at(ref).sql("select count(*) as n from numbers").to_polars().item()


def test_everything_works_as_on_a_disk(root):
    with hg.open(root, environment=KEYS) as project:
        project.run()
        assert project.table("parts").to_polars().rows() == [("a", 500), ("b", 500)]
        at = project.at("main")
        assert at.sql("select sum(n) as s from numbers").to_polars().item() == 499_500
        lazy = project.table("numbers").scan().filter(pl.col("n") > 997).collect()
        assert lazy["n"].to_list() == [998, 999]
        iceberg = project.table("numbers").iceberg()
        assert iceberg.metadata.location.startswith("s3://lake/projects/")
        assert iceberg.scan(row_filter="n < 3").to_arrow().num_rows == 3
        found = {finding.what: finding for finding in project.doctor(files=True)}
        assert found["object store"].level == "ok"
        assert found["tables"].found.startswith("2 versions")
    with hg.open(root, environment=KEYS) as project:
        with project.transaction("main", name="more") as tx:
            tx.write("numbers", pl.DataFrame({"n": [5, 2000], "part": "c"}), mode="upsert", key="n")
        assert count(project, "main") == 1001
        assert count(project, "main~1") == 1000


def test_the_catalog_of_a_branch_writes_to_the_bucket(root):
    with hg.open(root, environment=KEYS) as project:
        project.run()
        project.lake.create_branch("dev", "main")
        catalog = project.catalog("dev")
        table = catalog.load_table("numbers")
        table.append(pa.table({"n": pa.array([-1], pa.int64()), "part": ["z"]}))
        assert catalog.load_table("numbers").scan().to_arrow().num_rows == 1001
        rows = project.at("dev").sql("select part from numbers where n < 0").to_polars()
        assert rows["part"].to_list() == ["z"]
        assert count(project, "main") == 1000


def everything_said(root, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "headgate", *words],
        cwd=root,
        env={"PATH": os.environ["PATH"], "HOME": str(root), **KEYS, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_works_and_no_key_is_kept_or_shown(root):
    said = ""
    for words in (
        ("run",),
        ("run",),
        ("doctor", "--files"),
        ("sql", "select * from parts"),
    ):
        code, text = everything_said(root, *words)
        assert code == 0, text
        assert "leaked" not in text
        said += text
    with hg.open(root, environment=KEYS) as project:
        said += "".join(str(file) for file in project.lake.storage.list())
        said += "".join(
            project.lake.storage.read(file.path).decode("latin-1")
            for file in project.lake.storage.list()
        )
    kept = [path for path in root.rglob("*") if path.is_file()]
    said += "".join(path.read_bytes().decode("latin-1") for path in kept)
    for secret in SECRETS:
        assert secret not in said


def test_errors_of_the_command_line_say_what_to_do(root):
    assert everything_said(root, "run")[0] == 0
    code, text = everything_said(root, "doctor", HEADGATE_LAKE_LOCATION="s3://no-such-bucket/x")
    assert "There is no bucket 'no-such-bucket'" in text
    code, text = everything_said(root, "run", HEADGATE_LAKE_ENDPOINT="http://127.0.0.1:1")
    assert "s3://lake/projects/" in text or code == 0  # nothing to do asks nothing


WRONG = [
    ({"HEADGATE_LAKE_LOCATION": "s3://B_AD/x"}, Invalid, "bad-location"),
    ({"HEADGATE_LAKE_LOCATION": "s3://lake/a/../b"}, Invalid, "bad-location"),
    ({"HEADGATE_LAKE_LOCATION": "s3://"}, Invalid, "bad-location"),
    ({"HEADGATE_LAKE_ENDPOINT": "127.0.0.1:9000"}, Invalid, "bad-endpoint"),
    ({"HEADGATE_LAKE_ENDPOINT": "http://user:pw@host"}, Invalid, "bad-endpoint"),
    ({"HEADGATE_LAKE_ALLOW_HTTP": "false"}, Invalid, "bad-endpoint"),
    ({"HEADGATE_LAKE_ALLOW_HTTP": "perhaps"}, Invalid, "bad-setting"),
    ({"AWS_SECRET_ACCESS_KEY": ""}, Invalid, "credentials-incomplete"),
    ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "x"}, Invalid,
     "profile-unusable"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "kind", "code"), WRONG, ids=lambda each: str(each)[:50])
def test_what_is_set_wrongly_is_said_before_anything_is_asked(root, wrong, kind, code):
    with pytest.raises(kind) as raised, hg.open(root, environment={**KEYS, **wrong}) as project:
        project.run()
    assert raised.value.code == code
    assert "pw" not in str(raised.value)


def test_a_lake_in_a_bucket_needs_a_metastore(root):
    text = (root / "headgate.toml").read_text().replace('metastore = "metastore.sqlite"', "")
    (root / "headgate.toml").write_text(text)
    with pytest.raises(HeadgateError) as raised, hg.open(root, environment=KEYS) as project:
        project.run()
    assert raised.value.code == "metastore-needed"
    assert "lake.metastore" in raised.value.hint


def test_a_store_that_is_away_stops_a_run_and_readers_see_what_they_saw(root):
    with hg.open(root, environment=KEYS) as project:
        project.run()
        head = project.lake.branch("main").head
    twice = SOURCE.replace("1000", "2000").replace("* 500", "* 1000")
    (root / "numbers_project.py").write_text(twice)
    text = (root / "headgate.toml").read_text()
    (root / "headgate.toml").write_text(text.replace("lake/projects/", "gone/projects/"))
    with hg.open(root, environment=KEYS) as project:
        with pytest.raises((Refused, Unavailable)) as raised:
            project.run()
        assert raised.value.code == "bucket-missing"
        assert project.lake.branch("main").head == head
    (root / "headgate.toml").write_text(text)
    with hg.open(root, environment=KEYS) as project:
        (run,) = [run for run in project.runs() if run.state.value == "failed"]
        project.resume(run.id)
        assert project.table("parts").to_polars().rows() == [("a", 1000), ("b", 1000)]
        assert json.dumps(run.reason, default=str)
