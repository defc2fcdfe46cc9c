"""Cache, quota and breaker, with times as arguments."""

from defender.intel.limits import DAY_MS, SECOND, Breaker, Bucket, Cache


def test_a_value_is_kept_for_its_time() -> None:
    cache: Cache[str] = Cache(2)
    cache.put("a", "A", 10)
    assert (cache.get("a", 9), cache.get("a", 10), len(cache)) == ("A", None, 0)


def test_the_least_used_value_goes_when_there_is_no_room() -> None:
    cache: Cache[str] = Cache(2)
    cache.put("a", "A", 10)
    cache.put("b", "B", 10)
    assert cache.get("a", 0) == "A"
    cache.put("c", "C", 10)
    assert [cache.get(one, 0) for one in "abc"] == ["A", None, "C"]


def test_tokens_come_back_evenly_and_never_more_than_a_minute_holds() -> None:
    bucket = Bucket(4, 500)
    assert [bucket.take(0, 0) for _ in range(5)] == ["", "", "", "", "the look-ups of this minute are used up"]
    assert bucket.take(14 * SECOND, 0)
    assert not bucket.take(16 * SECOND, 0)
    assert bucket.take(16 * SECOND, 0)
    assert [bool(bucket.take(10_000 * SECOND, 0)) for _ in range(5)] == [False] * 4 + [True]


def test_tokens_do_not_come_from_a_clock_that_goes_back() -> None:
    bucket = Bucket(1, 500)
    assert not bucket.take(100 * SECOND, 0)
    assert bucket.take(0, 0)


def test_the_tokens_of_a_day_come_back_at_midnight() -> None:
    bucket = Bucket(1000, 2)
    assert [bool(bucket.take(0, DAY_MS - 1)) for _ in range(3)] == [False, False, True]
    assert not bucket.take(0, DAY_MS)


def test_a_few_failures_are_tolerated() -> None:
    breaker = Breaker()
    breaker.bad("is ill", 0)
    breaker.bad("is ill", 0)
    assert breaker.closed(0)
    breaker.bad("is ill", 0)
    assert not breaker.closed(29 * SECOND)
    assert breaker.why == "is ill"


def test_after_the_pause_one_tries_and_the_others_wait() -> None:
    breaker = Breaker()
    breaker.bad("is ill", 0, at_once=True)
    assert [breaker.closed(30 * SECOND) for _ in range(3)] == [True, False, False]
    breaker.good()
    assert breaker.closed(30 * SECOND)
    assert not breaker.why


def test_the_pause_doubles_with_each_trial_that_fails_and_not_with_those_asked_before() -> None:
    breaker, now = Breaker(), 0
    for _ in range(8):
        breaker.bad("is ill", 0)
    pauses = []
    for _ in range(9):
        began = now
        while not breaker.closed(now):
            now += SECOND
        pauses.append((now - began) // SECOND)
        breaker.bad("is ill", now)
    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_the_pause_that_the_service_names_counts_up_to_a_day() -> None:
    for named, real in ((7.0, 7), (-5.0, 1), (1e9, 86_400)):
        breaker = Breaker()
        breaker.bad("has enough", 0, at_once=True, pause=named)
        assert not breaker.closed((real - 1) * SECOND)
        assert breaker.closed(real * SECOND)


def test_who_leaves_during_the_trial_lets_the_next_one_try() -> None:
    breaker = Breaker()
    breaker.bad("is ill", 0, at_once=True)
    assert breaker.closed(30 * SECOND)
    breaker.given_up()
    assert breaker.closed(30 * SECOND)
