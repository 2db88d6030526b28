"""An S3 server of one's own, for as long as a test or a measurement takes.

It is moto's: it keeps objects in memory, listens on 127.0.0.1 only, and checks no signatures.
"""

import http.client
import logging
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from headgate.stores import Bucket
from headgate.testing.object_places import BUCKET, REGION, bucket_at


class ObjectServer:
    """A server with a bucket ``lake``. Use it with ``with``."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.endpoint = ""

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        make_bucket(self.endpoint, BUCKET)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()

    def bucket(self, prefix: str = "", **options: object) -> Bucket:
        """Give a place in the server's bucket."""
        return bucket_at(self.endpoint, prefix, **options)


def make_bucket(endpoint: str, name: str) -> None:
    """Make a bucket on a server that asks for no signature."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
    body = (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    )
    try:
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/s3/x"}
        connection.request("PUT", f"/{name}", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        # Servers in one process share what they hold.
        if answer.status != http.client.OK and b"BucketAlreadyOwnedByYou" not in said:
            raise RuntimeError(said.decode())
    finally:
        connection.close()
