"""What SAGAS["ALERTS"] may say, and what is wrong with what it may not; no secret is in that."""

from typing import Any

import pytest

from sagas import conf

HOOK = {"webhook": "https://chat.example/secret"}


def test_a_channel_as_it_comes_hears_of_everything() -> None:
    settings = conf.read({"ALERTS": {"oncall": {"email": ["a@b"]}, "chat": HOOK, "own": {"call": "a.b"}}})
    assert settings.ALERTS["oncall"] == conf.AlertChannel(email=("a@b",))
    assert settings.ALERTS["chat"].over
    assert settings.ALERTS["own"].kinds == ()
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        ([], "must map the names of channels to their settings, not be a list"),
        ({"a b": HOOK}, "a channel's name is letters, digits, _ and -, at most 100"),
        ({"a": "x"}, "its settings must be a mapping of email, webhook, call"),
        ({"a": {}}, "it must have one of email, webhook and call"),
        ({"a": {**HOOK, "call": "a.b"}}, "it must have one of email, webhook and call"),
        ({"a": {"mail": ["a@b"]}}, "'mail' is not a setting; there are email"),
        ({"a": {"email": "a@b"}}, "email must be a list of texts"),
        ({"a": {"email": ["a"]}}, "email lists something that is no address, at place 1"),
        ({"a": {"call": "page"}}, "call must be where a function is, as shop.pager.page"),
        ({"a": {**HOOK, "kinds": ["held"]}}, "kinds lists 'held'; there are attention, workers"),
        ({"a": {**HOOK, "over": 1}}, "over must be True or False"),
        ({"a": {"webhook": "http://chat.example/secret"}}, "webhook must be https, unless"),
        ({"a": {"webhook": "ftp://chat.example/secret"}}, "webhook must be http(s)://host[:port]/path"),
        (
            {"a": {"webhook": "https://chat.example:99999/secret"}},
            "webhook must have a port between 1 and 65535",
        ),
        ({"a": {"webhook": "https://chat.example/secret ä"}}, "webhook must be written in ASCII"),
        ({"a": {"webhook": 7}}, "webhook must be http(s)://host[:port]/path"),
        ({"a": {**HOOK, "headers": "x"}}, "headers must map names of HTTP headers"),
        ({"a": {**HOOK, "headers": {"X\r\nY": "secret"}}}, "headers must map names of HTTP headers"),
        ({"a": {**HOOK, "headers": {"X": "secret\r\nY: 1"}}}, "headers must map names of HTTP headers"),
        ({"a": {**HOOK, "headers": {"Content-Length": "1"}}}, "none of them ours"),
        ({"a": {**HOOK, "headers": {"X": "secret "}}}, "headers must map names of HTTP headers"),
        ({"a": {**HOOK, "headers": {"X Key": "secret"}}}, "headers must map names of HTTP headers"),
        ({"a": {"call": "a.b", "headers": {"X": "secret"}}}, "headers and private are for a webhook"),
        ({"a": {"webhook": "https://:secret@chat.example/"}}, "webhook must be http(s)://host[:port]/path"),
        ({"a": {"call": "."}}, "call must be where a function is"),
    ],
)
def test_what_cannot_be_is_said(channels: Any, says: str) -> None:
    with pytest.raises(conf.ImpossibleSetting) as raised:
        conf.read({"ALERTS": channels})
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["ALERT_AFTER", "ALERT_AGAIN"])
def test_what_may_be_none_at_all(name: str) -> None:
    assert getattr(conf.read({name: 0}), name) == 0
    with pytest.raises(conf.ImpossibleSetting):
        conf.read({name: -1})


def test_the_desks_address() -> None:
    for url in ("https://desk.example/", "https://desk.example:8000/ops", ""):
        assert url == conf.read({"DESK_URL": url}).DESK_URL
    with pytest.raises(conf.ImpossibleSetting, match="'DESK_URL'"):
        conf.read({"DESK_URL": "desk.example"})
