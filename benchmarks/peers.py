"""Peers live in throw-away environments of their own, never in ours: ``benchmarks/work/peers``."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from benchmarks.measuring import WORK

PACKAGES = {
    "dask": ("distributed>=2026.8",),
    "dataframely": ("dataframely>=2.0",),
    "deltalake": ("deltalake>=1.6", "pyarrow>=22"),
    "dlt": ("dlt[duckdb,filesystem,parquet]>=1.20",),
    "dlt-sql": (
        "dlt[filesystem,parquet,sql_database]>=1.20",
        "psycopg2-binary>=2.9",
        "sqlalchemy>=2.0,<2.1",
    ),
    "hamilton": ("sf-hamilton>=1.90",),
    "kedro": ("kedro>=1.7",),
    "luigi": ("luigi>=3.8",),
    "pandas": ("pandas>=2.3", "pyarrow>=22"),
    "pandera": ("pandera[polars]>=0.26",),
    "pointblank": ("pointblank>=0.15", "polars>=1.30"),
    # Prefect 3.8 breaks with newer FastAPI and SQLAlchemy.
    "prefect": ("prefect>=3.8", "fastapi==0.139.0", "sqlalchemy<2.1"),
    "pydantic": ("pydantic>=2.12", "pyarrow>=22"),
    "pygit2": ("pygit2>=1.19",),
    "pyiceberg": ("pyiceberg[sql-sqlite,pyarrow]>=0.12",),
    "tpch": ("tpchgen-cli>=4.0",),
}


@cache
def environment(name: str) -> Path | None:
    """Give the ``bin`` directory of a peer's environment, made on first use; None where pip cannot.

    Why it cannot is said on standard error.
    """
    packages = PACKAGES[name]
    home = WORK / "peers" / name
    stamp = home / "made-for"
    wanted = "\n".join((sys.version, *packages))
    if stamp.exists() and stamp.read_text() == wanted:
        return home / "bin"
    say = sys.stderr.write
    say(f"  installing {', '.join(packages)} into {home} ...\n")
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [home / "bin/python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *packages], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        say(f"  {name} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}\n")
        return None
    stamp.write_text(wanted)
    return home / "bin"
