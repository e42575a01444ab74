"""The process that `trueup serve` is: killed under load, started again, stopped, refused."""

import signal
import threading

import httpx

from command.load_settings import load
from contract import ids
from contract.storage import open_root
from inference import serve
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, table_rows, until


class Callers:
    """Threads that predict and label until the service is gone; they remember what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.url, self.predictions, self.labels = url, {}, {}
        self.threads = [threading.Thread(target=self._call, args=(n,)) for n in range(3)]
        [t.start() for t in self.threads]

    def _call(self, n: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as client:
            try:
                while True:
                    n += 1
                    body, mine = picture(n % 7), ids.uuid7()
                    answer = client.post("/v1/predictions", content=body, headers=IMAGE | {"X-Prediction-Id": mine})
                    assert answer.status_code == 200, answer.text
                    self.predictions[mine] = (body, answer.json())
                    label = client.post("/v1/labels", json={"prediction_id": mine, "label": "a"})
                    assert label.status_code == 201, label.text
                    self.labels[label.json()["label_ids"][0]] = mine
            except httpx.TransportError:
                return


def test_killed_under_load_every_acknowledged_row_is_in_the_bucket_once(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with ServiceProcess(tmp_root, tmp_path, "--no-auth") as first:
        callers = Callers(first.url())
        until(lambda: len(callers.labels) > 60 and table_rows(tmp_root, "predictions"))
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    [t.join() for t in callers.threads]

    with ServiceProcess(tmp_root, tmp_path, "--no-auth") as second, httpx.Client(base_url=second.url(), timeout=30) as client:
        for mine, (body, answer) in list(callers.predictions.items())[-5:]:
            again = client.post("/v1/predictions", content=body, headers=IMAGE | {"X-Prediction-Id": mine})
            assert again.json() == answer
            other = client.post("/v1/predictions", content=picture(99), headers=IMAGE | {"X-Prediction-Id": mine})
            assert other.status_code == 422
        assert second.end(signal.SIGTERM) == 0
    rows = [r["prediction_id"] for r in table_rows(tmp_root, "predictions")]
    labels = [r["label_id"] for r in table_rows(tmp_root, "labels")]
    assert len(rows) == len(set(rows)) and set(callers.predictions) <= set(rows)
    assert len(labels) == len(set(labels)) and set(callers.labels) <= set(labels)
    assert '"event": "stopped"' in (log := second.log.read_text()) and "every caller on this machine" in log


def test_a_picture_that_is_decoded_for_ever_holds_up_no_stop(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    before = ("import time\nimport inference.serve, inference.service\ninference.serve.END_S = 1.0\n"
              "inference.service.read_picture = lambda *_: time.sleep(300)")
    with ServiceProcess(tmp_root, tmp_path, "--no-auth", "--set", "serve.deadline_seconds=1", before=before) as service:
        answer = httpx.post(f"{service.url()}/v1/predictions", content=picture(), headers=IMAGE, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline")
        assert service.end(signal.SIGTERM, 60) == 0
    log = service.log.read_text()
    assert '"event": "stopped", "rows_left": 0, "shipped": true, "gave_up": false' in log


def test_a_thread_that_never_ends_holds_up_no_stop_and_is_said(tmp_root, tmp_path):
    """Not one of ours, which end with the process: what a library or a version's own code may leave behind."""
    publish_tiny(tmp_root)
    before = ("import threading, time\nimport inference.serve\ninference.serve.END_S = 1.0\n"
              "threading.Thread(target=time.sleep, args=(300,)).start()")
    with ServiceProcess(tmp_root, tmp_path, "--no-auth", before=before) as service:
        service.url()
        assert service.end(signal.SIGTERM, 60) == 0
    assert "something did not stop in time" in service.log.read_text()


def test_what_serve_refuses_before_it_listens(tmp_root, tmp_path, capsys):
    no_auth = ["--root", tmp_root, "--no-auth", "--outbox", str(tmp_path / "o")]
    assert serve.main([*no_auth, "--model", "m", "--host", "0.0.0.0"]) == 2
    assert "expected a loopback host" in capsys.readouterr().err
    assert serve.main(no_auth) == 2
    assert "expected a model" in capsys.readouterr().err
    assert serve.main([*no_auth, "--model", "never"]) == 1
    assert "expected a Trueup root, found nothing there" in capsys.readouterr().err
    open_root(tmp_root, create=True)
    assert serve.main([*no_auth, "--model", "never"]) == 1
    assert "was never published" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert serve.main([*no_auth, "--model", "never"]) == 1
    assert serve.main(["--help"]) == 0 and "--no-auth" in capsys.readouterr().out


def test_where_the_outbox_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert serve.find_outbox_folder(load(root=f"file://{tmp_path}/a%20b", env={})) == tmp_path / "a b-outbox"
    of_s3 = [serve.find_outbox_folder(load(root=root, env={})) for root in ("s3://b/p", "s3://b/p/", "s3://b/q")]
    assert of_s3[0] == of_s3[1] != of_s3[2] and of_s3[0].parent == tmp_path / "trueup"
    assert str(serve.find_outbox_folder(load(root="s3://b", overrides=["serve.outbox=/o"], env={}))) == "/o"
