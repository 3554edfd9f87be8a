"""Push a file with oras-py, in one piece and in chunks, and pull what another client pushed.

Run as `python oras_push.py HOST PASSWORD FILE FOLDER`. Prints what it saw as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

MIB = 1024 * 1024

host, password, file, folder = sys.argv[1:]
oras: Any = importlib.import_module("oras.client")
client = oras.OrasClient(hostname=host, insecure=True, auth_backend="basic")
client.login(
    hostname=host,
    username="AWS",
    password=password,
    tls_verify=False,
    config_path=f"{folder}/config.json",
)

seen: dict[str, Any] = {}
ways: dict[str, dict[str, Any]] = {
    "whole": {},
    "chunks": {"do_chunked": True, "chunk_size": 5 * MIB},
}
for tag, options in ways.items():
    pushed = client.push(
        f"{host}/team/app:{tag}", files=[file], disable_path_validation=True, quiet=True, **options
    )
    pulled = client.pull(f"{host}/team/app:{tag}", outdir=f"{folder}/{tag}")
    seen[tag] = [pushed.status_code, Path(pulled[0]).read_bytes() == Path(file).read_bytes()]

seen["tags"] = client.get_tags(f"{host}/team/app")
manifest = client.get_manifest(f"{host}/ours:1.0")
seen["ours"] = [layer["digest"] for layer in manifest["layers"]]
blobs = (client.get_blob(f"{host}/ours", digest).content for digest in seen["ours"])
for number, blob in enumerate(blobs):
    Path(folder, f"blob-{number}").write_bytes(blob)
sys.stdout.write(json.dumps(seen))
