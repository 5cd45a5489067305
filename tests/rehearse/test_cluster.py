"""`--executor dask://`: a real scheduler, and two workers in processes and checkouts of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

TASK = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT"
SDK = (
    "from orchestra_sdk.orchestra import OrchestraSDK as S; put = S(api_key=os.environ['ORCHESTRA_API_KEY']).set_output"
)


def code(text: str) -> str:
    return json.dumps({"source": "INLINE", "set_outputs": True, "code": f"import os, sys, time\n{text}\n"})


def pipeline(shared: Path) -> str:
    fan = f"{SDK}\nput('where', os.getcwd())\ntime.sleep(0.3)"
    victim = (
        f"open({str(shared / 'starts')!r}, 'a').write(os.getcwd() + chr(10))\n"
        f"time.sleep(60 if os.environ['ORCHESTRA_TASK_ATTEMPT_NUMBER'] == '1' else 0)"
    )
    return f"""\
version: v1
name: spread out
pipeline:
  fan:
    matrix: {{inputs: {{n: [1, 2, 3, 4, 5, 6]}}}}
    tasks:
      part: {{name: part, {TASK}, parameters: {code(fan)}}}
  victim:
    depends_on: [fan]
    tasks:
      killed: {{name: killed, {TASK}, configuration: {{retries: 1}}, parameters: {code(victim)}}}
  after:
    depends_on: [victim]
    tasks:
      sum_up: {{name: sum_up, {TASK}, parameters: {code("print(len(${{ tasks['part'].outputs }}), 'parts')")}}}
"""


class Cluster:
    def __init__(self, folder: Path, stack: ExitStack):
        self.folder = folder
        self._stack = stack
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._start(folder, "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        self.workers = {name: self.add_worker(name) for name in ("one", "two")}

    @property
    def url(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def add_worker(self, name: str) -> subprocess.Popen[bytes]:
        """A worker in a checkout of its own, which has only what the tasks need."""
        checkout = self.folder / name
        checkout.mkdir()
        (checkout / "rehearse.toml").touch()
        return self._start(
            checkout, "worker", f"tcp://127.0.0.1:{self.port}", "--nthreads", "2", "--no-nanny", "--no-dashboard",
            "--host", "127.0.0.1", "--death-timeout", "60", "--local-directory", str(checkout / ".dask"),
        )  # fmt: skip

    def _start(self, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("dask")), *arguments]
        log = self._stack.enter_context((folder / f"{arguments[0]}.log").open("wb"))
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=os.environ | {"DO_NOT_TRACK": "1"})
        self._stack.callback(self._end, process)
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, stack)
        until(lambda: knows_workers(cluster.port, 2))
        yield cluster


def knows_workers(port: int, count: int) -> bool:
    from distributed import Client

    try:
        with Client(f"tcp://127.0.0.1:{port}", timeout=5, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"]) == count
    except OSError:
        return False


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 40
    while not (found := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
    return found


def test_attempts_run_on_all_workers_and_survive_the_loss_of_one(
    cluster: Cluster, bin_dir: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "rehearse.toml").touch()
    (here / "p.yml").write_text(pipeline(tmp_path))
    process = subprocess.Popen(
        [bin_dir / "rehearse", "run", "p.yml", "--executor", cluster.url, "--json"], cwd=here, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    starts = tmp_path / "starts"
    until(lambda: starts.exists() and starts.read_text())
    victim = Path(starts.read_text().splitlines()[0])
    cluster.workers[victim.name].kill()
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    tasks = {(task["task"], task["item"]): task for task in json.loads(out)["tasks"]}
    where = {task["outputs"]["where"] for (name, _), task in tasks.items() if name == "part"}
    assert where == {str(tmp_path / "one"), str(tmp_path / "two")}, "both workers did some of it"
    other = next(name for name in ("one", "two") if name != victim.name)
    assert starts.read_text().splitlines() == [str(victim), str(tmp_path / other)], "each attempt started once"
    assert tasks["killed", None]["attempt"] == 2 and "worker" in said
    assert (here / ".rehearse" / "latest" / "sum_up" / "1" / "log").read_text() == "6 parts\n", "logs come back"


def test_ctrl_c_stops_what_runs_on_the_cluster(cluster: Cluster, bin_dir: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "rehearse.toml").touch()
    started = tmp_path / "started"
    text = f"open({str(started)!r}, 'w').close()\ntime.sleep(60)\nopen({str(tmp_path / 'over')!r}, 'w')"
    (here / "p.yml").write_text(
        f"version: v1\nname: n\npipeline:\n  g:\n    tasks:\n      t: {{name: t, {TASK}, parameters: {code(text)}}}\n"
    )
    process = subprocess.Popen(
        [bin_dir / "rehearse", "run", "p.yml", "--executor", cluster.url], cwd=here, stderr=subprocess.PIPE, text=True
    )
    until(started.exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "CANCELLED t" in said, said


def test_what_ran_on_a_cluster_is_not_started_again_under_the_same_number(
    cluster: Cluster, bin_dir: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "rehearse.toml").touch()
    starts = tmp_path / "starts"
    sign = f"open({str(starts)!r}, 'a').write(os.environ['ORCHESTRA_TASK_ATTEMPT_NUMBER'] + chr(10))"
    text = f"{sign}\ntime.sleep(20 if os.environ['ORCHESTRA_TASK_ATTEMPT_NUMBER'] == '1' else 0)"
    (here / "p.yml").write_text(
        "version: v1\nname: n\nconfiguration: {retries: 1}\npipeline:\n  g:\n    tasks:\n"
        f"      t: {{name: t, {TASK}, parameters: {code(text)}}}\n"
    )
    process = subprocess.Popen(
        [bin_dir / "rehearse", "run", "p.yml", "--executor", cluster.url], cwd=here, stderr=subprocess.DEVNULL
    )
    until(starts.exists)
    process.kill()
    process.wait()
    done = subprocess.run([bin_dir / "rehearse", "resume"], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and f"what became of it on {cluster.url} is lost with its engine" in done.stderr, (
        done.stderr
    )
    assert starts.read_text().split() == ["1", "2"]


@pytest.mark.parametrize(
    ("url", "said"),
    [("dask://127.0.0.1:1", "no scheduler answers at 127.0.0.1:1"), ("spark://x", "there is no such executor")],
)
def test_a_cluster_that_is_not_there(bin_dir: Path, tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "rehearse.toml").touch()
    (tmp_path / "p.yml").write_text(
        f"version: v1\nname: n\npipeline:\n  g:\n    tasks:\n      t: {{name: t, {TASK}, parameters: {code('pass')}}}\n"
    )
    command = [bin_dir / "rehearse", "run", "p.yml", "--executor", url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
