"""The work of the quickstart: count the words of text files, write a report about them, publish it."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import gqm

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


@gqm.handler("text.count")
def count(job: gqm.Job) -> dict[str, object]:
    """Count and index the words of one file. A plain function: it runs in one of the pool's threads."""
    path = HERE / "texts" / str(job.payload["file"])
    lines = path.read_text(encoding="utf-8").splitlines()
    places: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        for word in WORD.findall(line.lower()):
            places.setdefault(word, []).append(number)
    index = OUT / "index" / f"{path.stem}.json"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(json.dumps(places, ensure_ascii=False, sort_keys=True), encoding="utf-8")
    return {"file": path.name, "lines": len(lines), "words": sum(len(found) for found in places.values())}


@gqm.handler("text.report")
async def report(job: gqm.Job) -> dict[str, object]:
    """Merge the indexes into one report. It depends on all counts, so it starts when the last one is done."""
    totals: Counter[str] = Counter()
    files = sorted((OUT / "index").glob("*.json"))
    for done, path in enumerate(files, 1):
        for word, lines in json.loads(path.read_text(encoding="utf-8")).items():
            totals[word] += len(lines)
        job.progress(done, len(files), path.stem)
    long_words = [(word, n) for word, n in totals.most_common() if len(word) > 4][:10]
    rows = [f"| {word} | {n} |" for word, n in long_words]
    text = "\n".join(
        [f"# {len(files)} files, {totals.total()} words", "", "| word | times |", "|---|---|", *rows, ""]
    )
    (OUT / "report.md").write_text(text, encoding="utf-8")
    return {"files": len(files), "words": totals.total(), "different": len(totals)}


@gqm.handler("report.publish")
def publish(job: gqm.Job) -> str:
    """Put the report where readers find it; started too early it fails and is tried again."""
    source = OUT / "report.md"
    if not source.exists():
        raise FileNotFoundError(f"{source.name} is not written yet")
    target = OUT / "published" / f"report-{job.payload['edition']}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target.relative_to(HERE).as_posix()
