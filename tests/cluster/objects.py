"""moto's S3 in a process of its own, with persistent objects: `python objects.py PORT FOLDER`.

moto keeps everything in memory. Here each object is written to a folder before the client gets an
answer, and a new process loads the objects in the folder, so the service can be killed like a real
one. Incomplete multipart uploads are lost with the process.
"""

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

WRITES = ("PUT", "POST", "DELETE")
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/s3/aws4_request, "}
"""Header of a signed request; moto checks only for the name of the service, not the signature."""


class OnDisk:
    """WSGI application that passes requests to moto, and stores their changes before it answers.

    Args:
        app: moto's application.
        folder: Folder of the objects, with a folder for each bucket and a file for each object.
    """

    def __init__(self, app: Any, folder: Path):
        from werkzeug.test import Client

        self.app = app
        self.folder = folder
        self.client = Client(app)
        for bucket in sorted(folder.iterdir()):
            self.client.put(f"/{bucket.name}", headers=SIGNED)
            for path in sorted(bucket.iterdir()):
                place = _place(bucket.name, path.name)
                self.client.put(place, data=path.read_bytes(), headers=SIGNED)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = list(self.app(environ, start_response))
        if environ["REQUEST_METHOD"] in WRITES:
            self._keep(environ["PATH_INFO"].encode("latin-1").decode())
        return answer

    def _keep(self, path: str) -> None:
        bucket, _, key = path.removeprefix("/").partition("/")
        folder = self.folder / bucket
        if self.client.head(f"/{bucket}", headers=SIGNED).status_code != 200:
            return  # moto's own pages, and buckets that do not exist
        folder.mkdir(exist_ok=True)
        # a request to the bucket itself may have deleted many objects
        for name in [quote(key, safe="")] if key else [file.name for file in folder.iterdir()]:
            found = self.client.get(_place(bucket, name), headers=SIGNED)
            if found.status_code == 200:
                part = self.folder.parent / f"{threading.get_ident()}.part"
                part.write_bytes(found.data)
                part.replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


def _place(bucket: str, name: str) -> str:
    return f"/{bucket}/{quote(unquote(name))}"


def main() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    folder = Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    app = OnDisk(DomainDispatcherApplication(create_backend_app), folder)
    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)


if __name__ == "__main__":
    main()
