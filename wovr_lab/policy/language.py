"""Instructions to word tokens: a real tokenizer made from the tasks' own words, saved and loaded with the policy.

In: instruction strings. Out: a `PreTrainedTokenizerFast`, and padded ids int64 [N, L] with a mask bool [N, L].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from wovr_lab.errors import UserError, warn
from wovr_lab.runs import read_object

PADDING, UNKNOWN = "[PAD]", "[UNK]"


def build_tokenizer(instructions: Iterable[str]) -> PreTrainedTokenizerFast:
    """A word-level, case-blind tokenizer whose vocabulary is the words of `instructions`; other words become [UNK].

    Raises UserError if there is not a single word.
    """
    normalizer, splitter = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    words = {word for text in instructions for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    if not words:
        raise UserError("a tokenizer needs at least one instruction with words in it")
    return _tokenizer_of({word: index for index, word in enumerate([PADDING, UNKNOWN, *sorted(words)])})


def _tokenizer_of(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PADDING, unk_token=UNKNOWN)


def load_tokenizer(folder: Path, vocabulary_size: int) -> PreTrainedTokenizerFast:
    """The tokenizer that `build_tokenizer` made, from its file in a policy's folder.

    Raises UserError if it is damaged, of another kind, or has more words than the policy.
    """
    path = folder / "tokenizer.json"
    model = read_object(path, model=dict)["model"]
    words = model.get("vocab")
    ids = list(words.values()) if isinstance(words, dict) else []
    is_whole = model.get("type") == "WordLevel" and all(
        type(each) is int and 0 <= each < vocabulary_size for each in ids
    )
    if not is_whole or len(set(ids)) != len(ids) or not {PADDING, UNKNOWN} <= words.keys():
        raise UserError(f"{path} holds no words that this policy could read; restore it, or train the policy again")
    return _tokenizer_of(words)


class Instructions:
    """Tokenises each different instruction once; the same few are asked for at every decision."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, longest: int):
        self.tokenizer = tokenizer
        self.longest = longest
        self._known: dict[str, list[int]] = {}

    def ids(self, instruction: str) -> list[int]:
        """Word ids. Raises UserError if there are more than `longest`."""
        if instruction not in self._known:
            ids = self.tokenizer(instruction, add_special_tokens=False)["input_ids"]
            if len(ids) > self.longest:
                raise UserError(
                    f"the instruction {instruction!r} has {len(ids)} words, this policy reads {self.longest}; "
                    "shorten it or train a policy with more max_words"
                )
            self._warn_of_unknown_words(instruction)
            self._known[instruction] = ids
        return self._known[instruction]

    def _warn_of_unknown_words(self, instruction: str) -> None:
        """Words that no task had are all the same to the policy, and no word at all tells it nothing."""
        words = re.findall(r"\w+", instruction)
        strange = [word for word in words if self.tokenizer.unk_token_id in self.tokenizer(word)["input_ids"]]
        if strange or not words:
            never = f"the policy never saw {', '.join(strange)}" if strange else "there is no word"
            warn(f"{never} in the instruction {instruction!r}; use those that it was trained on")

    def batch(self, instructions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids int64 [N, L] padded on the right, and bool [N, L], True at words. L is the longest of these."""
        rows = [self.ids(instruction) for instruction in instructions]
        width = max(len(row) for row in rows)
        padding = self.tokenizer.pad_token_id
        words = torch.tensor([row + [padding] * (width - len(row)) for row in rows], dtype=torch.long)
        return words.view(len(rows), width), words.view(len(rows), width) != padding
