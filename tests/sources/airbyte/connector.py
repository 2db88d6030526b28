"""A small connector that speaks the Airbyte protocol (0.2) by hand; ``way`` says how it goes wrong.

It gives the rows of a JSON-lines file whose ``id`` is above its state, a state every ``every``.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def say(kind, **content):
    print(json.dumps({"type": kind, **content}), flush=True)


def option(name):
    words = sys.argv
    if f"--{name}" not in words:
        return None
    path = Path(words[words.index(f"--{name}") + 1])
    return json.loads(path.read_text())


def main():
    verb = sys.argv[1]
    if verb == "spec":
        schema = {"type": "object", "required": ["file"], "properties": {"file": {}}}
        say("SPEC", spec={"connectionSpecification": schema})
        return 0
    config = option("config")
    way = config.get("way", "")
    if config.get("seen"):
        place = Path(sys.argv[sys.argv.index("--config") + 1])
        seen = {
            "modes": [oct(each.stat().st_mode & 0o777) for each in (place.parent, place)],
            "directory": str(place.parent),
            "environment": sorted(os.environ),
            "config": config,
            "state": option("state"),
            "catalog": option("catalog"),
            "pid": os.getpid(),
        }
        with Path(config["seen"]).open("a") as file:
            file.write(json.dumps({"verb": verb, **seen}) + "\n")
    print("this line is none of the protocol's")
    say("LOG", log={"level": "INFO", "message": f"{verb} begins"})
    if verb == "check":
        failed = way == "check"
        status = {"status": "FAILED" if failed else "SUCCEEDED"}
        if failed:
            status["message"] = f"401 for {config.get('token')}"
        say("CONNECTION_STATUS", connectionStatus=status)
        return 0
    if verb == "discover":
        incremental = [] if way == "full" else ["incremental"]
        stream = {
            "name": "orders",
            "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
            "supported_sync_modes": ["full_refresh", *incremental],
            "default_cursor_field": ["id"],
            "source_defined_primary_key": [["id"]],
        }
        say("CATALOG", catalog={"streams": [stream, {**stream, "name": "returns"}]})
        return 0
    return read(config, way)


def read(config, way):
    state = option("state")
    last = state[0]["stream"]["stream_state"]["id"] if state else 0
    rows = [json.loads(line) for line in Path(config["file"]).read_text().splitlines()]
    rows = [row for row in rows if row["id"] > last or way == "full"]
    for number, row in enumerate(rows, 1):
        if way == f"trace at {number}":
            error = {"message": "the API is away", "failure_type": "transient_error"}
            say("TRACE", trace={"type": "ERROR", "emitted_at": 1, "error": error})
            print("Traceback: something\nbroke in the depths", file=sys.stderr, flush=True)
            return 1
        if way == f"exit at {number}":
            print(f"password {config.get('token')} is wrong", file=sys.stderr, flush=True)
            os._exit(7)
        if way == f"hang at {number}":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            time.sleep(600)
        if way == f"kill at {number}" and not Path(config["file"] + ".killed").exists():
            Path(config["file"] + ".killed").touch()
            os.kill(os.getppid(), 9)
        if way == f"rubbish at {number}":
            print('{"type": "RECORD", "record": {"stream": "orders"')
        if way == f"deaf at {number}":
            import signal

            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        say("RECORD", record={"stream": "orders", "data": row, "emitted_at": 1})
        if number % config.get("every", 2) == 0:
            tell_state(row["id"])
    if rows and way != "no last state":
        tell_state(rows[-1]["id"])
    if way == "bad end":
        print("it fails at last", file=sys.stderr)
        return 3
    return 0


def tell_state(last):
    descriptor = {"name": "orders", "namespace": None}
    stream = {"stream_descriptor": descriptor, "stream_state": {"id": last}}
    say("STATE", state={"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": 2.0}})


if __name__ == "__main__":
    sys.exit(main())
