"""What a job in Redis may be: a nudge, and nothing beside it, whoever wrote it."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from redis.exceptions import ConnectionError, TimeoutError
from rq import Callback, Queue, Repeat, Retry, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from sagas import bell, jobs, worker
from sagas.worker import NudgeWorker


@pytest.fixture(autouse=True)
def redis() -> Iterator[Any]:
    bell.connection().flushall()
    yield bell.connection()
    bell.connection().flushall()


def forged(redis: Any, function: str = jobs.WORK, **options: Any) -> jobs.NudgeJob:
    """Put a job into Redis by other means than ours, and read it as our worker does."""
    queue = Queue("pay", connection=redis, serializer=JSONSerializer)
    made = queue.enqueue_call(function, args=("pay",), **options)
    return jobs.queue("pay", redis).fetch_job(made.id)


def test_a_nudge_is_json_and_names_the_one_function(redis: Any) -> None:
    jobs.nudge(["pay"])
    (job,) = jobs.queue("pay", redis).jobs
    assert isinstance(job, jobs.NudgeJob)
    assert (job.func, job.args) == (jobs.work, ["pay"])
    assert b'"sagas.jobs.work"' in job.data


@pytest.mark.parametrize("function", ["os.system", "sagas.jobs.nudge", "builtins.eval"])
def test_no_other_function_is_ever_called(redis: Any, function: str) -> None:
    with pytest.raises(PermissionError, match="not a nudge"):
        forged(redis, function).func  # noqa: B018 - the property is the test


def test_a_pickle_is_not_even_opened(redis: Any) -> None:
    job = Queue("pay", connection=redis).enqueue_call(jobs.WORK, args=("pay",))
    with pytest.raises(DeserializationError):
        jobs.NudgeJob.fetch(job.id, connection=redis, serializer=JSONSerializer).args  # noqa: B018


def test_a_job_cannot_make_rq_do_anything_beside(redis: Any) -> None:
    callback = Callback("os.system")
    job = forged(
        redis,
        on_success=callback,
        on_failure=callback,
        on_stopped=callback,
        retry=Retry(max=9),
        repeat=Repeat(times=9),
        timeout=1,
        webhooks=[Webhook("http://127.0.0.1:1/", "failed")],
    )
    assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None, None, None)
    assert (job.webhooks, job.retries_left, job.repeats_left, job.timeout) == ([], None, None, -1)


def test_a_key_in_redis_cannot_suspend_a_worker(redis: Any) -> None:
    from rq.suspension import is_suspended, suspend

    suspend(redis)
    worker = NudgeWorker([jobs.queue("pay", redis)], connection=redis, serializer=JSONSerializer)
    assert is_suspended(redis, worker)
    worker.check_for_suspension(burst=False)


def test_a_worker_takes_no_orders_from_redis(redis: Any) -> None:
    """Nor does it leave a thread and a connection for them behind, each time that Redis comes back."""
    worker = NudgeWorker([jobs.queue("pay", redis)], connection=redis, serializer=JSONSerializer)
    worker.subscribe()
    assert (worker.pubsub, worker.pubsub_thread) == (None, None)


@pytest.mark.parametrize("fault", [ConnectionError("gone"), TimeoutError("silent")])
def test_a_worker_leaves_rqs_loop_when_redis_fails(
    redis: Any, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ would wait in it for as long as Redis is away, and serve nobody."""
    worker = NudgeWorker([jobs.queue("pay", redis)], connection=redis, serializer=JSONSerializer)
    monkeypatch.setattr(SimpleWorker, "heartbeat", mock.Mock(side_effect=fault))
    with pytest.raises(StopRequested):
        worker.heartbeat()
    assert worker.dequeue_timeout < worker.connection_timeout < 10


def test_rq_itself_would_have_done_it(redis: Any) -> None:
    """The tests above are about something: RQ's own job has what ours leaves out."""
    queue = Queue("pay", connection=redis, serializer=JSONSerializer)
    made = queue.enqueue_call("os.system", args=("true",), on_success=Callback("os.system"), timeout=1)
    job = Job.fetch(made.id, connection=redis, serializer=JSONSerializer)
    assert (job.func_name, job.timeout) == ("os.system", 1)
    assert job.success_callback is not None


def test_a_signal_before_rq_listens_is_not_forgotten(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come between the look at whether to stop and the beginning of RQ's loop, which would never look again."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    stop = worker._Stop()
    stop._on_signal(15, None)
    listening = mock.Mock(spec=NudgeWorker)
    with pytest.raises(StopRequested), stop.telling(listening):
        listening.work()
    listening.work.assert_not_called()
    assert stop._worker is None
