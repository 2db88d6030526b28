"""Terminals to write on in tests."""

import io

from headgate.cli.terminal import Terminal


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, live=False, encoding="utf-8"):
        super().__init__()
        self._live = live
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._live


def terminal(*, live=False, encoding="utf-8", **environment):
    return Terminal(
        out=Screen(live=live, encoding=encoding),
        err=Screen(live=live, encoding=encoding),
        environment=environment,
    )
