"""The GraphiQL page, served from files that `make setup` brought: no CDN is asked for anything."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from backend.graphiql.install import ASSETS, is_complete

_PAGE: Final = """<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8"><title>Tanheng 碳衡 · GraphiQL</title>
<link rel="stylesheet" href="/graphiql/assets/graphiql.css">
<style>html,body,#graphiql{height:100%;margin:0}</style>
</head>
<body>
<div id="graphiql"></div>
<script src="/graphiql/assets/react.js"></script>
<script src="/graphiql/assets/react-dom.js"></script>
<script src="/graphiql/assets/graphiql.js"></script>
<script>
  // The token may come behind the # of the address (it never reaches a server log) and goes into the headers pane.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const headers = JSON.stringify({ Authorization: "Bearer " + (token || "…") }, null, 2);
  const fetcher = GraphiQL.createFetcher({ url: "/graphql" });
  const start = "# 碳衡 Tanheng. Ctrl+Enter runs.\\n{\\n  viewer { displayName }\\n}\\n";
  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    React.createElement(GraphiQL, { fetcher, defaultHeaders: headers, defaultQuery: start }),
  );
</script>
</body>
</html>
"""

_MISSING: Final = """<!doctype html><meta charset="utf-8"><title>Tanheng 碳衡</title>
<p>GraphiQL is not installed here: <code>make setup</code> brings it when an npm client and its registry can be reached.
The API itself is at <code>/graphql</code>.</p>
<p>未安装 GraphiQL：运行 <code>make setup</code> 即可获取。API 地址为 <code>/graphql</code>。</p>
"""


async def page(_request: Request) -> Response:
    return HTMLResponse(_PAGE) if is_complete() else HTMLResponse(_MISSING, status_code=503)


def routes() -> list[BaseRoute]:
    served: list[BaseRoute] = [Route("/graphiql", page)]
    if is_complete():
        served.append(Mount("/graphiql/assets", StaticFiles(directory=ASSETS)))
    return served
