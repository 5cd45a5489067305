"""The page behind the URL that `serve` prints: that it runs, and how clients reach it."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Cookie, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from rehearse.api.dependencies import ServiceHere

router = APIRouter(include_in_schema=False)
COOKIE = "rehearse_token"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}  # fmt: skip
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name} · rehearse</title><style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 46rem; margin: 3rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }}
pre {{ background: #8882; padding: .8rem; overflow-x: auto; border-radius: .4rem }} small {{ opacity: .7 }}
</style><h1>{name}</h1><p>rehearse serves this workspace as an Orchestra platform would.</p>
<pre>export BASE_URL={url}
export ORCHESTRA_API_KEY=$(cat .rehearse/token)
orchestra pipeline list</pre>
<h2>Pipelines</h2><table><tr><th>Alias<th>Name<th>Last run</tr>{rows}</table>
<p><small>API: <code>{url}/api/engine/public</code> · document: <code>/api/engine/openapi.json</code></small></p></html>"""


@router.get("/")
def welcome(
    request: Request,
    service: ServiceHere,
    token: Annotated[str | None, Query()] = None,
    rehearse_token: Annotated[str | None, Cookie()] = None,
) -> Response:
    """The token of the URL becomes a cookie, so that it does not stay in the address."""
    if token is not None and service.keys.role(token):
        answer = RedirectResponse("/", 303, _HEADERS)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return answer
    if service.keys.role(rehearse_token or "") is None:
        return HTMLResponse("<p>Open the URL that <code>rehearse serve</code> has printed.</p>", 401, _HEADERS)
    from rehearse.store import listing

    entries = service.catalog().entries()
    newest = listing.newest_runs(service.store.database, [entry.alias for entry in entries])
    rows = []
    for entry in entries:
        run = newest.get(entry.alias)
        last = f"{run['status']} {run['created_at'][:16].replace('T', ' ')}Z" if run else ""
        name = f"not valid: {entry.error}" if entry.error else entry.name
        rows.append("".join(f"<td>{escape(text)}" for text in (entry.alias, name, last)))
    url = str(request.base_url).rstrip("/")
    page = _PAGE.format(
        name=escape(service.account_name), url=escape(url), rows="".join(f"<tr>{row}</tr>" for row in rows)
    )
    return HTMLResponse(page, 200, _HEADERS)
