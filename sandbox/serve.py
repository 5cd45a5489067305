"""The process of a stand-in: `python -m sandbox.serve <salesforce|sap> <state folder> <listening fd> <ready fd>`.

Fills its file first if there is none, so that all systems are filled at the same time, and writes `ready` when it can
answer. The socket was opened by the parent: no other program can take the port in between.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any


def application(name: str, home: Path, settings: dict[str, Any]) -> Any:
    """The ASGI app of one stand-in over its file."""
    if name == "salesforce":
        from sandbox.salesforce import create_app
    else:
        from sandbox.sap import create_app
    return create_app(home / f"{name}.db", settings)


def main(name: str, folder: str, listening: str, ready: str) -> None:
    import uvicorn

    from sandbox import layouts, store
    from sandbox.change import tables
    from sandbox.company import Company
    from sandbox.home import Home

    home = Home(folder)
    data = home.path / f"{name}.db"
    if not data.exists():
        company = home.read("company")
        layout = layouts.SALESFORCE if name == "salesforce" else layouts.SAP
        store.load(data, layout, tables(Company(company["seed"], company["scale"]))[name], company["day"])
    app = application(name, home.path, home.read(name))
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, server_header=False))
    os.write(int(ready), b"ready\n")
    os.close(int(ready))
    server.run(sockets=[socket.socket(fileno=int(listening))])


if __name__ == "__main__":
    main(*sys.argv[1:])
