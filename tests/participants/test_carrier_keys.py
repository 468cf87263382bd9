"""What CARRIER_SECRETS may say: no character of a key is taken for anything else."""

import pytest

from participants.carrier.keys import keys_from


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('["a key, with a comma"]', ("a key, with a comma",)),
        ('["the new key, for now", "the one before it"]', ("the new key, for now", "the one before it")),
    ],
)
def test_a_list_of_one_key_or_two_is_read(text: str, keys: tuple[str, ...]) -> None:
    assert keys_from(text) == keys


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a JSON list"),
        ("a key as long as it takes", "a JSON list"),
        ("[]", "one or two keys"),
        ('["the first of three", "the second of three", "the third of three"]', "one or two keys"),
        ('["short"]', "at least 16 characters"),
        ("[1234567890123456]", "texts"),
    ],
)
def test_anything_else_is_refused_and_not_repeated(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        keys_from(text)
    assert text not in str(refused.value) or not text.strip("[]")
