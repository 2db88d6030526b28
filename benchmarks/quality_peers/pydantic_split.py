"""pydantic, row by row: types and row rules; no keys, no references. One million rows."""

from datetime import datetime
from typing import Annotated, Literal

import pyarrow.parquet as pq
from measuring import EMAIL, ORDERS, measured
from pydantic import BaseModel, Field, ValidationError, model_validator


class Order(BaseModel):
    order_id: int
    country: str | None
    ext_id: int | None
    customer_id: int
    email: Annotated[str, Field(pattern=EMAIL)] | None
    status: Literal["new", "paid", "shipped", "done", "refunded"] | None
    qty: Annotated[int, Field(ge=1, le=1000)] | None
    price: float | None
    amount: float | None
    created_at: datetime | None
    updated_at: datetime | None
    note: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def consistent(self):
        if abs(self.amount - self.qty * self.price) > 0.01 or self.updated_at < self.created_at:
            raise ValueError
        return self


def split():
    good, bad = 0, []
    validate = Order.model_validate
    for batch in pq.ParquetFile(ORDERS).iter_batches(65536):
        for row in batch.to_pylist():
            try:
                validate(row)
                good += 1
            except ValidationError as error:
                bad.append((row, error.error_count()))
    return good, len(bad)


measured(split)
