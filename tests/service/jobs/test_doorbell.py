import base64
import json

from service.broker import EmbeddedBroker
from service.jobs.connection import Database
from service.jobs.doorbell import SETTINGS, CeleryDoorbell, celery_app
from service.jobs.keys import JobRef, queue_list


def test_the_message_carries_the_reference_and_nothing_else(
    broker: EmbeddedBroker, database: Database
) -> None:
    ref = JobRef.new("default")
    app = celery_app(broker.url)
    assert CeleryDoorbell(app).ring(ref, "forecast", "interactive")
    assert database.length(queue_list("interactive")) == 1
    text = database.run("return redis.call('LINDEX', KEYS[1], 0)", [queue_list("interactive")], [])
    message = json.loads(text)
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([str(ref)], {})
    assert message["headers"]["task"] == "relata.forecast"
    assert message["content-type"] == "application/json"
    app.close()


def test_a_broker_that_is_away_takes_no_message() -> None:
    app = celery_app("redis://127.0.0.1:1/0")
    assert not CeleryDoorbell(app).ring(JobRef.new("default"), "forecast", "batch")
    app.close()


def test_nothing_but_json_is_accepted_and_no_result_is_kept() -> None:
    assert SETTINGS["accept_content"] == ["json"]
    assert SETTINGS["result_backend"] is None
    assert SETTINGS["task_ignore_result"]


def test_messages_are_taken_off_late_and_workers_keep_their_jobs_when_the_broker_restarts() -> None:
    assert SETTINGS["task_acks_late"]
    assert SETTINGS["worker_prefetch_multiplier"] == 1
    assert SETTINGS["worker_cancel_long_running_tasks_on_connection_loss"] is False
    options = SETTINGS["broker_transport_options"]
    assert options["visibility_timeout"] == SETTINGS["visibility_timeout"]
