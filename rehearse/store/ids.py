"""Ids as the platform has them: UUIDs of version 4, which its clients insist on (section 1.8 of the API reference)."""

from __future__ import annotations

import hashlib
from uuid import UUID


def id_of(*key: object) -> str:
    """The id of something that must get the same one again: it has the form of a random one, and follows from `key`."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


def pipeline_id(alias: str) -> str:
    """The id of a pipeline. Files have no place for one: it follows from the alias, on every machine alike."""
    return id_of("pipeline", alias)
