import threading
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from service.broker import free_port, prepare_broker
from service.jobs.connection import brisk, patient
from tests.service.brokers import start


def test_a_brisk_connection_says_that_nobody_is_there() -> None:
    with pytest.raises(RedisError):
        brisk(f"redis://127.0.0.1:{free_port()}/0").read("key")


def test_a_patient_connection_rides_out_a_restart_and_forgotten_scripts(tmp_path: Path) -> None:
    embedded = prepare_broker(tmp_path)
    process = start(embedded)
    database = patient(embedded.url)
    script = "return redis.call('INCR', KEYS[1])"
    assert database.run(script, ["count"], []) == 1
    process.kill()
    process.wait()
    again: list[object] = []
    threading.Timer(0.7, lambda: again.append(start(embedded))).start()
    assert database.run(script, ["count"], []) == 2
    database.close()
    last = again[0]
    last.kill()  # pyright: ignore
    last.wait()  # pyright: ignore
