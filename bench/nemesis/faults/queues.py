"""F4, F5, F9: Redis dies, forgets, fills up, and its jobs are meddled with."""

import random
import signal
import time

from bench.nemesis.faults.catalogue import Dose, fault
from bench.nemesis.world import World


@fault("F4", "Redis killed, and empty when it is back", every=50)
def _kill_redis(world: World, chance: random.Random, dose: Dose) -> None:
    redis, away = world.children["redis"], chance.choice((0.0, chance.uniform(0, 15)))
    with redis.spoken_for:
        redis.hold()
        try:
            dose(pid=redis.send(signal.SIGKILL), away=away)
            time.sleep(away)
        finally:
            redis.start()


@fault("F5", "Redis flushed", every=40)
def _flush_redis(world: World, chance: random.Random, dose: Dose) -> None:
    world.redis().flushall()
    dose()


@fault("F5", "keys of Redis deleted", every=20)
def _delete_keys(world: World, chance: random.Random, dose: Dose) -> None:
    redis = world.redis()
    keys = [key for key in redis.scan_iter(count=500) if chance.random() < 0.5]
    if keys:
        dose(keys=redis.delete(*keys))


@fault("F5", "Redis out of memory", every=80)
def _fill_redis(world: World, chance: random.Random, dose: Dose) -> None:
    try:
        world.redis().config_set("maxmemory", "1")
        dose()
        time.sleep(chance.uniform(2, 6))
    finally:
        world.redis().config_set("maxmemory", "0")


@fault("F9", "RQ jobs repeated, dropped or reordered", every=2)
def _meddle_with_jobs(world: World, chance: random.Random, dose: Dose) -> None:
    redis = world.redis()
    for name in sorted(redis.keys("rq:queue:*")):
        jobs = redis.lrange(name, 0, -1)
        if not jobs:
            continue
        job, how = chance.choice(jobs), chance.choice(("repeated", "dropped", "reordered"))
        if how == "repeated":
            redis.rpush(name, *[job] * chance.randint(1, 4))
        else:
            redis.lrem(name, 0, job)
            if how == "reordered":
                redis.lpush(name, job)
        dose(how=how, queue=name.decode())
