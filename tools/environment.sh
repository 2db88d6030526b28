#!/bin/sh
# Makes a virtual environment, or finds that it is made already: the second time costs milliseconds.
# It is made anew when pyproject.toml, the checkout's place or what is asked for has changed.
#
# usage: tools/environment.sh DIRECTORY PIP-ARGUMENT...      tools/environment.sh .venv -e '.[dev]'
#        tools/environment.sh --missing                      names the Debian packages it lacks
# PYTHON=/path/to/python chooses the interpreter; otherwise the first of 3.11 or newer that is found.
set -eu

say() { printf '%s\n' "$*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

has_ensurepip() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

find_python() {
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

missing() {
  if ! python=$(find_python); then
    echo python3 python3-venv
  elif ! has_ensurepip "$python"; then
    echo "python$(version "$python")-venv"
  fi
}

how_to_mend() {
  if command -v apt-get >/dev/null 2>&1; then
    root=$([ "$(id -u)" = 0 ] || echo "sudo ")
    say "This line mends it; then run make again:"
    say "    ${root}apt-get install -y $*"
  else
    say "Install it from your system's packages or from https://www.python.org/downloads/, then run make again."
  fi
}

require_python() {
  if ! python=$(find_python); then
    if [ -n "${PYTHON:-}" ]; then
      say "PYTHON=$PYTHON is not a Python of version 3.11 or newer."
    else
      say "headgate needs Python 3.11 or newer, and there is none on the PATH."
      how_to_mend $(missing)
    fi
    exit 1
  fi
  if ! has_ensurepip "$python"; then
    say "$python (Python $(version "$python")) has no ensurepip, which virtual environments need."
    how_to_mend $(missing)
    exit 1
  fi
}

stamp() {
  printf '%s\n' "$PWD" "$@"
  cat pyproject.toml
}

if [ "$1" = --missing ]; then
  missing
  exit
fi
directory=$1
shift
if [ -f "$directory/made-for" ] && stamp "$@" | cmp -s - "$directory/made-for"; then
  exit
fi
require_python
say "Making $directory with $("$python" --version) and installing packages (a minute or two, once) ..."
rm -rf "$directory"
"$python" -m venv "$directory"
if ! "$directory/bin/python" -m pip install --quiet --quiet --disable-pip-version-check "$@"; then
  say "The packages could not be installed; pip says why above. Is there a network, or a mirror that pip knows of?"
  exit 1
fi
stamp "$@" >"$directory/made-for.new"
mv "$directory/made-for.new" "$directory/made-for"
