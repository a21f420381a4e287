"""The scenario: who uses the demo shop, how often, and which answers are right.

An answer that the gateway is meant to give (401, 429, a fallback) counts as a success under a name
of its own, so the report shows how often each happened; everything else that is not expected is a
failure. The run fails on any failure, and when something that must happen never did.

Credentials come from SHOP_API_KEY and SHOP_BEARER_TOKEN: the quick start prints them.
"""

import os
import random
from typing import Any

from locust import FastHttpUser, between, constant_throughput, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

API_KEY = {"X-API-Key": os.environ.get("SHOP_API_KEY", "")}
BEARER = {"Authorization": f"Bearer {os.environ.get('SHOP_BEARER_TOKEN', '')}"}
PRODUCT_IDS = (1, 2, 3, 4)

# What the report must show at least once, or the scenario did not reach the whole path.
REQUIRED = frozenset(
    {
        "browse catalogue",
        "browse product",
        "order",
        "order without a key: 401",
        "account",
        "deals",
        "deals: limited, 429",
        "recommendations: fallback",
    }
)


class ShopUser(FastHttpUser):
    """What all users share: a request with the answers that are right for it."""

    abstract = True

    def call(self, name: str, method: str, path: str, right: dict[int, str], **more: Any) -> None:
        """Send a request; `right` maps each right status to what the report adds to `name`."""
        with self.client.request(method, path, name=name, catch_response=True, **more) as answer:
            if answer.status_code in right:
                answer.request_meta["name"] = name + right[answer.status_code]
                answer.success()
            else:
                answer.failure(f"status {answer.status_code}")


class Browser(ShopUser):
    """Looks at the catalogue, then at products. Most visitors are like this."""

    weight = 6
    wait_time = between(0.05, 0.25)

    @task(1)
    def catalogue(self) -> None:
        self.call("browse catalogue", "GET", "/shop/products", {200: ""})

    @task(4)
    def product(self) -> None:
        path = f"/shop/products/{random.choice(PRODUCT_IDS)}"
        self.call("browse product", "GET", path, {200: ""})


class Customer(ShopUser):
    """Orders with the API key, sometimes forgets it, and reads the account with a token."""

    weight = 2
    wait_time = between(0.05, 0.25)

    @task(6)
    def order(self) -> None:
        wanted = {"product_id": random.choice(PRODUCT_IDS), "quantity": random.randint(1, 9)}
        right = {201: ""}
        self.call("order", "POST", "/shop/orders", right, json=wanted, headers=API_KEY)

    @task(1)
    def order_without_key(self) -> None:
        wanted = {"product_id": 1, "quantity": 1}
        right = {401: ": 401"}
        self.call("order without a key", "POST", "/shop/orders", right, json=wanted)

    @task(3)
    def account(self) -> None:
        self.call("account", "GET", "/shop/account", {200: ""}, headers=BEARER)


class BargainHunter(ShopUser):
    """Asks for the deals far more often than the limit of the gateway allows."""

    weight = 1
    wait_time = constant_throughput(5)

    @task
    def deals(self) -> None:
        right = {200: "", 429: ": limited, 429"}
        self.call("deals", "GET", "/shop/deals", right)


class Dependant(ShopUser):
    """Calls a service that always fails: 500 until the breaker opens, the fallback after."""

    weight = 1
    wait_time = constant_throughput(5)

    @task
    def recommendations(self) -> None:
        right = {500: ": failing, 500", 200: ": fallback"}
        self.call("recommendations", "GET", "/shop/recommendations", right)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: object) -> None:
    """Exit with 1 if a request failed, or if something of `REQUIRED` never happened."""
    if isinstance(environment.runner, WorkerRunner):
        return  # It saw a part only; the master judges the whole.
    missing = sorted(REQUIRED - {name for name, _ in environment.stats.entries})
    for name in missing:
        print(f"never happened: {name}")
    environment.process_exit_code = 1 if missing or environment.stats.total.num_failures else 0
