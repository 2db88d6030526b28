"""A connector made with Airbyte's own CDK: orders above a cursor, from a JSON-lines file."""

import json
import sys
from pathlib import Path

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import IncrementalMixin, Stream


class Orders(Stream, IncrementalMixin):
    primary_key = "id"
    cursor_field = "id"
    state_checkpoint_interval = 2

    def __init__(self, file):
        self._file = file
        self._state = {}

    @property
    def name(self):
        return "orders"

    @property
    def state(self):
        return self._state

    @state.setter
    def state(self, value):
        self._state = dict(value)

    def get_json_schema(self):
        properties = {"id": {"type": "integer"}, "name": {"type": "string"}}
        return {"type": "object", "properties": properties}

    def read_records(self, sync_mode, cursor_field=None, stream_slice=None, stream_state=None):
        last = self._state.get("id", 0)
        for line in Path(self._file).read_text().splitlines():
            row = json.loads(line)
            if row["id"] > last:
                self._state = {"id": row["id"]}
                yield row


class SourceOrders(AbstractSource):
    def check_connection(self, logger, config):
        if config.get("token") != "canary-1":
            return False, "the token is wrong"
        return True, None

    def streams(self, config):
        return [Orders(config["file"])]

    def spec(self, logger):
        return ConnectorSpecification(
            connectionSpecification={
                "type": "object",
                "required": ["file", "token"],
                "properties": {
                    "file": {"type": "string"},
                    "token": {"type": "string", "airbyte_secret": True},
                },
            }
        )


if __name__ == "__main__":
    launch(SourceOrders(), sys.argv[1:])
