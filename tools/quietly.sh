#!/bin/sh
# Runs a command and says one line of it; its output is shown only where it fails.
# usage: tools/quietly.sh WORDS COMMAND ARGUMENT...
set -u
words=$1
shift
printf '%s ... ' "$words"
if output=$("$@" 2>&1); then
  echo ok
else
  status=$?
  echo failed
  printf '%s\n' "$output"
  exit "$status"
fi
