"""The application behind the admin API. OpenAPI: `/openapi.json`; docs/concepts/admin.md."""

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from trunkline import __version__
from trunkline.core.admin import answers
from trunkline.core.admin.actions import Upgrade, actions
from trunkline.core.admin.auth import BearerAuth
from trunkline.core.admin.views import probes, views
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import EndingError, Instance
from trunkline.core.upgrade.upgrader import UpgradeError

_TAGS = [
    {"name": "probes", "description": "For everybody: without a token."},
    {"name": "state", "description": "What there is, and how it is. Nothing changes by asking."},
    {"name": "actions", "description": "What an operator can do."},
]


def make_app(instance: Instance, token: str, upgrade: Upgrade) -> FastAPI:
    """The application that serves one instance."""
    app = FastAPI(
        title="trunkline admin",
        summary="The control plane of one running trunkline.",
        description=answers.__doc__ or "",
        version=__version__,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BearerAuth, token=token)
    app.add_exception_handler(ConfigError, _config_error)
    app.add_exception_handler(EndingError, _ending)
    app.add_exception_handler(UpgradeError, _upgrade_error)
    app.include_router(probes(instance))
    # The middleware decides; this says so in the description.
    shown = Depends(HTTPBearer(auto_error=False, description="`admin.token`."))
    refused: dict[int | str, dict[str, Any]] = {
        401: {"model": answers.Unauthorized, "description": "The token is missing or wrong."}
    }
    for router in (views(instance), actions(instance, upgrade)):
        app.include_router(router, dependencies=[shown], responses=refused)
    return app


async def _config_error(_: Request, error: Exception) -> Response:
    problems = error.problems if isinstance(error, ConfigError) else []
    return JSONResponse({"errors": [p.to_json() for p in problems]}, status_code=422)


async def _ending(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "this process is about to end"}, status_code=409)


async def _upgrade_error(_: Request, error: Exception) -> Response:
    answer: dict[str, Any] = {"detail": str(error)}
    if not isinstance(error, UpgradeError) or not error.was_tried:
        return JSONResponse(answer, status_code=409)
    answer["errors"] = [problem.to_json() for problem in error.problems]
    return JSONResponse(answer, status_code=422)
