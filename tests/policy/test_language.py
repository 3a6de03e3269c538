import pytest

from wovr_lab.errors import UserError
from wovr_lab.policy.language import Instructions, build_tokenizer


def test_known_words_have_their_own_ids_whatever_their_case_and_others_are_unknown():
    tokenizer = build_tokenizer(["push the red cube", "push the blue cube"])
    ids = tokenizer("Push THE yellow cube")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["push", "the", "[UNK]", "cube"]
    assert len(tokenizer) == 2 + len({"push", "the", "red", "blue", "cube"})


def test_the_vocabulary_does_not_depend_on_the_order_of_the_tasks():
    assert build_tokenizer(["b a", "c"]).get_vocab() == build_tokenizer(["c", "a b"]).get_vocab()


def test_shorter_instructions_are_padded_on_the_right_and_masked():
    instructions = Instructions(build_tokenizer(["push the red cube"]), longest=4)
    words, mask = instructions.batch(["push the red cube", "push red", ""])
    assert words.shape == (3, 4) and mask.tolist() == [[True] * 4, [True, True, False, False], [False] * 4]
    assert words[1, 2:].tolist() == [instructions.tokenizer.pad_token_id] * 2


def test_an_instruction_longer_than_the_policy_reads_is_refused():
    with pytest.raises(UserError, match="has 3 words, this policy reads 2"):
        Instructions(build_tokenizer(["a b"]), longest=2).batch(["a b c"])


def test_a_tokenizer_without_words_is_refused():
    with pytest.raises(UserError, match="at least one instruction"):
        build_tokenizer([""])
