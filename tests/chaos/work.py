"""What the tasks do: each attempt signs a list when it starts, and writes rows to a table in one transaction."""

import json
import os
import sqlite3
import sys
import urllib.request

ATTEMPT = f"{os.environ['ORCHESTRA_TASK_RUN_ID']} {os.environ['ORCHESTRA_TASK_ATTEMPT_NUMBER']}\n"


def output(name, value):
    event = {"event_type": "SET_OUTPUT", "task_run_id": os.environ["ORCHESTRA_TASK_RUN_ID"], "output_name": name}
    request = urllib.request.Request(
        os.environ["ORCHESTRA_WEBHOOK_URL"],
        json.dumps(event | {"output_value": value}).encode(),
        {"Authorization": f"Bearer {os.environ['ORCHESTRA_API_KEY']}"},
    )
    urllib.request.urlopen(request)


def main():
    with open("attempts", "a") as file:
        file.write(ATTEMPT)
    what, *rest = sys.argv[1:]
    if what == "fail":
        sys.exit(1)
    if what == "list":
        output("items", ["a", "b", "c"])
        return
    with sqlite3.connect("table.db", timeout=30) as db:
        db.execute("create table if not exists t (key text primary key, value text)")
        if what == "write":
            key, value = rest
            db.execute("insert or replace into t values (?, ?)", (key, value))
    if what == "write" and rest[0].startswith("first"):
        output("value", rest[1] * 2)
    if what == "total":
        (count,) = db.execute("select count(*) from t").fetchone()
        output("count", count)


main()
