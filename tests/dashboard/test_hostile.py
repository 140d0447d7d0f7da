"""Fifty hostile texts in every field of every page: nothing runs, all is shown as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.browser import Visit
from tests.dashboard.desk import ONE, Desk
from tests.dashboard.seed import Engine
from tests.support.crontab import entry

Visitor = Callable[..., Visit]

RUN = "window.ran=1"
PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<SCRIPT SRC=data:text/javascript,{RUN}></SCRIPT>",
    f"<script type=module>{RUN}</script>",
    f"</script><script>{RUN}//",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"<img src=x onerror={RUN}>",
    f"<IMG SRC=x ONERROR='{RUN}'>",
    f'"><img src=x onerror="{RUN}">',
    f"'><img src=x onerror='{RUN}'>",
    f"`><img src=x onerror=`{RUN}`>",
    f"<img src=x:x onerror\n={RUN}>",
    f"<img/src=x/onerror={RUN}>",
    f"<image href=x onerror={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg/onload={RUN}//",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><a xlink:href='javascript:{RUN}'><text y=20>x</text></a></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}>",
    f"<iframe src='javascript:{RUN}'></iframe>",
    f'<iframe srcdoc="<script>parent.{RUN}</script>">',
    f"<object data='javascript:{RUN}'></object>",
    f"<embed src='javascript:{RUN}'>",
    f"<video><source onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}>",
    f"<body onload={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}>",
    f"<marquee onstart={RUN}>x</marquee>",
    f"<form action='javascript:{RUN}'><button>x</button></form>",
    f"<a href='javascript:{RUN}'>x</a>",
    f'<a href="java\tscript:{RUN}">x</a>',
    f"<base href='javascript:{RUN}//'>",
    f"<link rel=stylesheet href='data:text/css,*{{x:{RUN}}}'>",
    "<style>*{display:none}</style>",
    "<style>@import 'http://evil.invalid/x.css'</style>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<![CDATA[><img src=x onerror={RUN}>]]>",
    f"javascript:{RUN}",
    f"JaVaScRiPt:{RUN}//",
    f"data:text/html,<script>{RUN}</script>",
    f"';{RUN}//",
    f'";{RUN}//',
    f"${{{RUN}}} {{{{constructor.constructor('{RUN}')()}}}} #{{{RUN}}}",
    f"__proto__ &lt;img src=x onerror={RUN}&gt; &#60;script&#62;",
    "\u202egnp.exe \u2066a\u2069 a\u0000b \u001b[31m red",
)
ALL = "".join(PAYLOADS)

KEPT = {"date", "created_at", "role", "auth"}
"""Fields that are no texts for people but dates and words which a page could not go on without."""
LISTS = (
    "queues?size=50",
    "jobs?size=50",
    "servers?size=50",
    "workers?size=50",
    "failed?size=50",
    "failed?tab=all&size=50",
    "scheduler?size=50",
    "dag?size=50",
    "audit?size=50",
)
DETAILS = (
    "overview",
    "queues/billing",
    "jobs/inv-990",
    "jobs/img-0",
    "dag/ingest-7",
    "dag/ingest-7?view=list",
)

HARMLESS = """() => {
    const bad = 'img, image, script, iframe, object, embed, video, audio, marquee, base, link, style, '
        + 'meta, math, template, animate, [srcdoc], [autofocus], [action], '
        + 'a[href]:not([href^="#/"], #description, .skip)';
    const found = [...document.querySelectorAll(bad)].filter((el) => !el.closest('head, .brand'));
    for (const el of document.querySelectorAll('body *')) {
        if (el.getAttributeNames().some((name) => name.startsWith('on'))) found.push(el);
    }
    return [window.ran || 0, ...found.map((el) => el.outerHTML.slice(0, 200))];
}"""


TEXTS = """[document.body.textContent,
    ...[...document.querySelectorAll('[title]')].map((el) => el.title)].join(' ')"""


WALK = """async (routes) => {
    for (const route of routes) { location.hash = route; await new Promise((done) => setTimeout(done, 4)); }
}"""


def shown(text: str) -> str:
    """A text as the pages write it: control and direction characters as escapes."""
    hidden = "\u0000\u001b\u202e\u2066\u2069"
    return "".join(f"\\u{ord(sign):04x}" if sign in hidden else sign for sign in text)


def poison(value: Any, text: str, name: str = "", *, whole: bool = False) -> Any:
    """The same answer with this text in every field that is one; what links things keeps its beginning."""
    if isinstance(value, dict):
        return {key: poison(item, text, key, whole=whole) for key, item in value.items()}
    if isinstance(value, list):
        return [poison(item, text, name, whole=whole) for item in value]
    if not isinstance(value, str) or name in KEPT or (whole and name == "status"):
        return value
    return value + text if name in ("id", "source", "target", "root_id") else text


def rows(data: list[Any]) -> list[Any]:
    """A list of fifty that are like its first, each with another text; one can still be found by its id."""
    made = [poison(data[0], text) for text in PAYLOADS]
    return [{**made[0], "id": data[0]["id"]}, *made[1:]] if "id" in data[0] else made


def hostile(body: Any) -> Any:
    """An answer of the API as it would be if everything in it came from somebody else."""
    data, meta = body.get("data"), body.get("meta", {})
    if not isinstance(data, list) or not data or not isinstance(data[0], dict):
        return {**body, "data": poison(data, ALL, whole=True)}
    if "minutes" in data[0] or "days" in data[0]:
        return body
    return {"data": rows(data), "meta": {**meta, **({"total": len(PAYLOADS)} if "total" in meta else {})}}


def taint(route: Route) -> None:
    answer = route.fetch()
    body = hostile(answer.json()) if answer.ok else {"error": ALL, "code": ALL}
    route.fulfill(status=answer.status, headers={"Content-Type": "application/json"}, json=body)


def texts(page: Page) -> str:
    """All that can be read: texts, and the titles of what is cut."""
    found: str = page.evaluate(TEXTS)
    return found


@pytest.mark.security(11)
def test_fifty_texts_in_every_field_of_every_page(visit: Visitor, open_shop: Engine) -> None:
    """B21: each list has fifty rows of them, each object has all of them in each field."""
    browser = visit(open_shop)
    page = browser.page
    worker = page.evaluate("async () => (await (await fetch('../api/v1/workers')).json()).data[0].id")
    page.on("dialog", lambda dialog: browser.complaints.append(dialog.message))
    page.route("**/api/v1/events*", lambda route: route.fulfill(status=503, json={"error": ALL, "code": ALL}))
    page.route(lambda url: "/api/v1/" in url and "/events" not in url, taint)
    few = "scheduler/digest", f"workers/{quote(worker)}"  # their one row holds the first of the texts
    for route in (*LISTS, *DETAILS, *few):
        browser.go(f"#/{route}")
        browser.drawn()
        if (toggler := page.locator(".toggler[aria-expanded=false]:visible")).count():
            toggler.first.click()
            browser.drawn()
        assert page.get_by_text("could not be shown").count() == 0, route
        found = texts(page)
        wanted = PAYLOADS[:1] if route in few else PAYLOADS
        assert not [text for text in wanted if shown(text) not in found], route
        assert page.evaluate(HARMLESS) == [0], route


@pytest.mark.security(11)
def test_in_addresses_errors_messages_and_sessions(visit: Visitor, guarded_shop: Engine) -> None:
    """B21: routes, filters, notices; errors of the API, toasts, dialogs, names of browsers and users."""
    browser = visit(guarded_shop, at="#/queues")
    page = browser.page
    browser.sign_in()
    browser.drawn()
    name, code = shown(ALL), {"error": ALL, "code": ALL}
    page.route("**/auth/me", lambda route: route.fulfill(json=hostile(route.fetch().json())))
    page.route("**/auth/sessions", taint)
    page.route("**/api/v1/servers", lambda route: route.fulfill(status=400, json=code))
    page.route("**/pause", lambda route: route.fulfill(status=409, json=code))
    page.reload()
    browser.drawn()
    assert name in texts(page)
    browser.go("#/servers")
    expect(page.locator("#servers-list .state-title")).to_contain_text("window.ran=1")
    browser.go("#/queues/billing")
    browser.button("Pause billing").click()
    browser.button("Pause").click()
    expect(page.locator(".toast.bad")).to_contain_text("window.ran=1")
    page.locator("#account > summary").click()
    browser.button("My sessions").click()
    expect(page.locator("#sessions tbody tr")).to_have_count(50)
    found = texts(page)
    assert not [text for text in PAYLOADS if shown(text) not in found]
    assert page.evaluate(HARMLESS) == [0]
    browser.button("Close").click()
    parts = [quote(text, safe="") for text in PAYLOADS]
    page.evaluate(
        WALK, [way for part in parts for way in (f"#/jobs?q={part}&{part}={part}", f"#/{part}/{part}")]
    )
    expect(page.locator("h1")).to_have_text("Page not found")
    browser.go(f"#/jobs?q={quote(PAYLOADS[0], safe='')}&{quote(ALL, safe='')}=1")
    expect(page.locator("#filter-q")).to_have_value(PAYLOADS[0])
    expect(page.locator(".banner")).to_contain_text("window.ran=1")
    assert page.evaluate(HARMLESS) == [0]


@pytest.mark.security(11)
def test_texts_that_really_come_from_elsewhere(desk: Desk) -> None:
    """B21: what workers and peers may write into Redis comes through the API as it is."""
    space, page = desk.space, desk.page
    raw, keys = space.raw, space.keys
    page.on("dialog", lambda dialog: desk.browser.complaints.append(dialog.message))
    for number, text in enumerate(PAYLOADS):
        job = desk.fail(text, job_id=f"x-{number:02}") if number < 3 else f"x-{number:02}"
        if number >= 3:
            desk.api.client.enqueue("t", {text: [text]}, meta={"note": text}, job_id=job)
        raw.hset(keys.job(job), mapping={"type": text, "error": text, "traceback": text, "enqueued_by": text})
    text = PAYLOADS[0]
    desk.beat(hostname=text, go_version=text, version=text, pool=text)
    raw.hset(keys.worker(f"{text}@{ONE}"), "queues", text)
    job = json.dumps({text: text}).encode()
    fields = {"name": text, "job_type": text, "queue": text, "timezone": text}
    desk.cron.put(entry("x", payload=job, next_run=desk.cron.now() + 60, **fields), meta=None)
    names = ("actor", "target", "before", "code")
    fixed = {"action": "job.retry", "ok": "0", "source": "session", "ts": "1790000000", "count": "1"}
    raw.xadd(keys.audit, {**fixed, **dict.fromkeys(names, text)})
    desk.go("jobs?size=50")
    expect(page.locator("#jobs tbody tr")).to_have_count(50)
    found = texts(page)
    assert not [text for text in PAYLOADS if shown(text) not in found]
    for route in ("servers", "workers", "scheduler/x", "audit", "failed", "jobs/x-49", "jobs/x-10"):
        desk.go(route)
        desk.browser.drawn()
        expect(page.locator("#content")).to_contain_text(
            "gnp.exe" if route == "jobs/x-49" else "window.ran=1"
        )
        assert page.evaluate(HARMLESS) == [0], route
