"""Ctrl-C while DuckDB computes in the main thread."""

import signal

import pytest

from headgate.engines import DuckDB

LONG = "select count(*) as n from range(100000000) a(i), range(1000) b(j) where hash(i + j) = 8"


def test_a_signal_that_comes_while_a_query_runs_is_a_ctrl_c():
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with DuckDB(threads=1) as engine:
            session = engine.session()
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                session.scalars(LONG)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
