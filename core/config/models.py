"""The base of all models.

A model's fields are what people write. Fields that go into the plan carry the plan's name as their
serialization alias, and only those that were written are dumped: the defaults of the data plane
stand in the native plan (`native/crates/engine/src/plan.rs`) and nowhere else, so such a field is
optional here and its description names the default.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from trunkline.core.config import patterns

Count = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[int, Field(ge=1, lt=2**32)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=patterns.NAME)]
UrlPath = Annotated[str, Field(pattern=patterns.URL_PATH)]


class Model(BaseModel):
    """Exact types, no unknown keys, no change after the check."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    def to_plan(self) -> dict[str, Any]:
        """The fields that were written, under the plan's names."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def in_plan(name: str, **options: Any) -> Any:
    """An optional field that the plan knows as `name`."""
    return Field(default=None, serialization_alias=name, **options)
