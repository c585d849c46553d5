"""An S3 object store on this machine, once a test process: moto's server, which s3fs speaks to over HTTP."""

import functools
import os
from uuid import uuid4

import fsspec.config

BUCKET = "lake"


@functools.cache
def _server() -> str:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # As a deployment says it by FSSPEC_S3_ENDPOINT_URL and AWS_...; fsspec reads those when it is imported.
    fsspec.config.conf["s3"] = {"endpoint_url": url, "key": "any", "secret": "any"}
    fsspec.filesystem("s3").mkdir(BUCKET)
    return url


def fresh_folder() -> str:
    """The URL of an empty folder in the bucket."""
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    _server()
    return f"s3://{BUCKET}/{uuid4().hex}"
