"""Instructions to word tokens: a real tokenizer made from the tasks' own words, saved and loaded with the policy.

In: instruction strings. Out: a `PreTrainedTokenizerFast`, and padded ids int64 [N, L] with a mask bool [N, L].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from wovr_lab.errors import UserError, warn

PADDING, UNKNOWN = "[PAD]", "[UNK]"


def build_tokenizer(instructions: Iterable[str]) -> PreTrainedTokenizerFast:
    """A word-level, case-blind tokenizer whose vocabulary is the words of `instructions`; other words become [UNK].

    Raises UserError if there is not a single word.
    """
    normalizer = normalizers.Lowercase()
    splitter = pre_tokenizers.Whitespace()
    words = {word for text in instructions for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    if not words:
        raise UserError("a tokenizer needs at least one instruction with words in it")
    vocabulary = {word: index for index, word in enumerate([PADDING, UNKNOWN, *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PADDING, unk_token=UNKNOWN)


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
