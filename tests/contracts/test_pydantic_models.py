"""A Pydantic model is the contract a class with the same columns and rules is, or is refused."""

import datetime as dt
import decimal
import enum
import re
from typing import Annotated, ClassVar, Literal, Optional, TypedDict

import pydantic
import pytest
from pydantic import BaseModel, Field

import headgate as hg
from headgate.contracts import contract_spec
from headgate.errors import Invalid


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    city: str
    zip: str | None = None


class PlaceDict(TypedDict):
    city: str
    zip: str


class Order(BaseModel):
    """What an order must be."""

    model_config = pydantic.ConfigDict(extra="forbid")
    contract_rules: ClassVar = (hg.unique("id"), hg.rows(at_least=10))

    id: int = Field(ge=1, description="The number on the bill.")
    small: hg.Int32 = Field(gt=0, lt=10)
    ratio: float = Field(gt=0, le=1)
    share: pydantic.FiniteFloat | None = None
    amount: decimal.Decimal = Field(
        max_digits=9, decimal_places=2, gt=0, lt=decimal.Decimal("100.5")
    )
    word: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z]+$")]
    note: Optional[str] = None  # noqa: UP045 - as models are written
    kind: Literal["a", "b"]
    colour: Colour
    step: int = Field(multiple_of=5)
    on: dt.date = Field(ge=dt.date(2020, 1, 1))
    at: pydantic.AwareDatetime
    local: pydantic.NaiveDatetime = Field(gt=dt.datetime(2020, 1, 1))  # noqa: DTZ001
    tags: list[str] = Field(min_length=1)
    place: Place
    customer: Annotated[int, hg.references("customers.id", severity="warn")] = Field(
        alias="Customer No."
    )
    flag: bool = False


class SameOrder(hg.Contract, undeclared="refuse", rules=(hg.unique("id"), hg.rows(at_least=10))):
    id: Annotated[int, hg.between(1, None)]
    small: Annotated[hg.Int32, hg.between(1, 9)]
    ratio: Annotated[float, hg.between(0, 1), hg.expression('"ratio" <> 0.0')]
    share: Annotated[float | None, hg.between(-1.7976931348623157e308, 1.7976931348623157e308)]
    amount: Annotated[
        decimal.Decimal,
        hg.Decimal(9, 2),
        hg.between(decimal.Decimal("0.01"), decimal.Decimal("100.49")),
    ]
    word: Annotated[str, hg.pattern(r"^[a-z]+$"), hg.length(1, 40)]
    note: str | None
    kind: Literal["a", "b"]
    colour: Colour
    step: Annotated[int, hg.expression('"step" % 5 = 0')]
    on: Annotated[hg.Date, hg.between(dt.date(2020, 1, 1), None)]
    at: hg.UtcTimestamp
    local: Annotated[hg.LocalTimestamp, hg.between(dt.datetime(2020, 1, 1, 0, 0, 0, 1), None)]  # noqa: DTZ001
    tags: Annotated[list[str], hg.length(1)]
    place: PlaceDict
    customer: Annotated[
        int, hg.references("customers.id", severity="warn"), hg.column("Customer No.")
    ]
    flag: bool


def test_a_model_is_the_contract_of_the_same_columns_and_rules():
    made, written = contract_spec(Order), contract_spec(SameOrder)
    assert {c.name: (c.type, c.raw) for c in made.columns} == {
        c.name: (c.type, c.raw) for c in written.columns
    }
    assert set(made.by_name) == set(written.by_name)
    assert made.digest == written.digest
    assert made.description == "What an order must be."
    assert made.columns[0].description == "The number on the bill."


def model(annotation, default=..., **config):
    namespace = {
        "__annotations__": {"x": annotation},
        "model_config": pydantic.ConfigDict(**config),
        "__module__": __name__,
    }
    if default is not ...:
        namespace["x"] = default
    return type("M", (BaseModel,), namespace)


def even(value):
    return value


class Inner(BaseModel):
    n: int = Field(ge=0)


class Node(BaseModel):
    children: list["Node"]


class Judged(BaseModel):
    x: int

    @pydantic.field_validator("x")
    @classmethod
    def is_even(cls, value):
        return value


class JudgedWhole(BaseModel):
    x: int

    @pydantic.model_validator(mode="after")
    def adds_up(self):
        return self


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (Judged, "Judged: the validator is_even"),
        (JudgedWhole, "JudgedWhole: the validator adds_up"),
        (model(Annotated[int, pydantic.AfterValidator(even)]), "M.x: the validator even"),
        (model(Annotated[int, pydantic.BeforeValidator(lambda v: v)]), "the validator "),
        (model(dt.datetime), "M.x: datetime is no column type"),
        (model(decimal.Decimal), "both max_digits and decimal_places"),
        (model(int | str), "several types"),
        (model(dict[str, int]), "is no column type"),
        (model(set[str]), "is no column type"),
        (model(pydantic.AnyUrl), "is no column type"),
        (model(Inner), "Inner.n has ge: nothing inside"),
        (model(list[Annotated[str, Field(pattern="^a")]]), "has pattern: nothing inside"),
        (model(list[Literal["a"]]), "one of some values"),
        (model(Annotated[str, Field(pattern=r"(?=a)")], regex_engine="python-re"), "look-ahead"),
        (model(Annotated[float, Field(multiple_of=0.1)]), "multiple_of=0.1"),
        (model(Annotated[str, Field(gt="a")]), "no bound of a string"),
        (model(pydantic.PastDate), "Past"),
        (
            model(Annotated[int, Field(validation_alias=pydantic.AliasChoices("a", "b"))]),
            "AliasChoices",
        ),
        (model(str, str_strip_whitespace=True), "str_strip_whitespace changes values"),
        (
            model(Annotated[str, pydantic.StringConstraints(strip_whitespace=True)]),
            "strip_whitespace",
        ),
    ],
)
def test_what_columns_cannot_do_is_refused_by_its_name(refused, words):
    with pytest.raises(Invalid, match=re.escape(words)) as caught:
        contract_spec(refused)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("extra", "undeclared"), [("allow", "keep"), ("ignore", "drop"), ("forbid", "refuse")]
)
def test_extra_says_what_becomes_of_undeclared_columns(extra, undeclared):
    assert contract_spec(model(int, extra=extra)).undeclared == undeclared
    assert contract_spec(model(int)).undeclared == "keep"


def test_an_alias_is_the_name_in_the_source():
    assert contract_spec(model(int, Field(validation_alias="X No."))).columns[0].raw == "X No."
    generated = model(int, alias_generator=str.upper)
    assert contract_spec(generated).columns[0].raw == "X"


def test_a_model_that_holds_itself_is_refused():
    with pytest.raises(Invalid, match="holds itself"):
        contract_spec(Node)


def test_an_open_range_leaves_out_nan_and_the_end():
    spec = contract_spec(model(float, Field(gt=0)))
    assert set(spec.by_name) == {"x is not null", "x at least 0", '"x" <> 0.0'}
