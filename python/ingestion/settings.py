"""Settings and credentials, read through dlt's configuration providers only (environment, .dlt/*.toml)."""

from __future__ import annotations

from ingestion.errors import ConfigError


def read(source: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, str | None]:
    """The values of `sources.<source>.<name>`. Raises ConfigError naming every missing variable and its TOML key."""
    import dlt

    values: dict[str, str | None] = {}
    for name in (*required, *optional):
        value = dlt.secrets.get(f"sources.{source}.{name}")
        values[name] = str(value) if value not in (None, "") else None
    missing = [name for name in required if not values[name]]
    if missing:
        names = ", ".join(variable(source, name) for name in missing)
        raise ConfigError(
            f"{source} is not configured: {names} missing",
            where=f"neither in the environment nor in .dlt/secrets.toml ([sources.{source}] {', '.join(missing)})",
            hint='for the example company: python -m sandbox up; eval "$(python -m sandbox env)"',
        )
    return values


def variable(source: str, name: str) -> str:
    """The environment variable of a setting."""
    return f"SOURCES__{source.upper()}__{name.upper()}"
