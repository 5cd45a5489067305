"""Bodies of requests: snake_case or camelCase, unknown keys ignored, as clients send them (section 1.8 of the API reference)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

NoNul = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Text that a database keeps as it is."""


class Body(BaseModel):
    """Fields are declared in snake_case, and named in camelCase by the OpenAPI document."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, alias_generator=to_camel)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, found in cls.model_fields.items():
            _accept_both(name, found)
        cls.model_rebuild(force=True)


def _accept_both(name: str, found: FieldInfo) -> None:
    found.validation_alias = AliasChoices(to_camel(name), name)
