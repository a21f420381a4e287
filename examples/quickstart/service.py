"""The demo shop: one small HTTP service, started three times so that there is something to balance.

    python examples/quickstart/service.py 127.0.0.1:9101

Every answer names the process that gave it (`X-Served-By`). It keeps no state and knows nothing of
trunkline: authentication, limits and fallbacks are the gateway's, in trunkline.toml. Its
recommender always fails, which is what the circuit breaker of the quick start is for.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel, Field


class Product(BaseModel):
    """What the shop sells."""

    id: int
    name: str
    price_cents: int


PRODUCTS = {
    product.id: product
    for product in (
        Product(id=1, name="lantern", price_cents=1900),
        Product(id=2, name="compass", price_cents=2450),
        Product(id=3, name="kettle", price_cents=3200),
        Product(id=4, name="rope, 20 m", price_cents=1500),
    )
}


class Order(BaseModel):
    """What a customer orders."""

    product_id: int
    quantity: int = Field(ge=1, le=100)


def shop(name: str) -> FastAPI:
    """The service as an ASGI application; `name` goes into every answer."""
    app = FastAPI(title="demo shop")

    @app.middleware("http")
    async def sign(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        response.headers["x-served-by"] = name
        return response

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok", "server": name}

    @app.get("/products")
    async def products() -> list[Product]:
        return list(PRODUCTS.values())

    @app.get("/products/{product_id}")
    async def product(product_id: int) -> Product:
        if product_id not in PRODUCTS:
            raise HTTPException(404, f"no product {product_id}")
        return PRODUCTS[product_id]

    @app.get("/deals")
    async def deals() -> list[Product]:
        return [product for product in PRODUCTS.values() if product.price_cents < 2000]

    @app.get("/account")
    async def account(x_consumer: Annotated[str, Header()]) -> dict[str, str]:
        return {"customer": x_consumer}

    @app.post("/orders", status_code=201)
    async def order(wanted: Order, x_consumer: Annotated[str, Header()]) -> dict[str, object]:
        if wanted.product_id not in PRODUCTS:
            raise HTTPException(422, f"no product {wanted.product_id}")
        total_cents = PRODUCTS[wanted.product_id].price_cents * wanted.quantity
        return {"customer": x_consumer, "total_cents": total_cents}

    @app.get("/recommendations")
    async def recommendations() -> None:
        raise HTTPException(500, "the recommender is down")

    @app.get("/headers")
    async def headers(request: Request) -> dict[str, str]:
        return dict(request.headers)

    return app


def main() -> None:
    """Serve on the address given until SIGTERM."""
    host, port = sys.argv[1].rsplit(":", 1)
    uvicorn.run(
        shop(f"shop-{port}"), host=host, port=int(port), log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
