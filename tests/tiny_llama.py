"""A random Llama with the habits of Llama 3 that differ from Qwen's.

Its tokenizer names no padding token, puts `<|begin_of_text|>` before plain text by itself (and the
chat template writes it too), and its generation config has three tokens that end a response. The
template dates its system header with today's date, as that of Llama 3.2 does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from data_prep.tiny_model import build_tokenizer

BEGIN, END_OF_TEXT, END_OF_MESSAGE, END_OF_TURN = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|eot_id|>",
)
STOPS = (END_OF_TURN, END_OF_MESSAGE, END_OF_TEXT)
HEADER = ("<|start_header_id|>", "<|end_header_id|>")
CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}"
    "{%- else %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}"
    "{%- if messages[0]['role'] == 'system' %}"
    "{%- set system_message = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}"
    "{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Today Date: ' + date_string + '\n\n' + system_message + '<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{{- message['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)


def build_llama_tokenizer(corpus: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """The byte-level BPE of the other tiny models with Llama 3's special tokens."""
    base = json.loads(build_tokenizer(corpus, vocab_size=vocab_size).backend_tokenizer.to_str())
    base["added_tokens"], base["normalizer"], base["post_processor"] = [], None, None
    raw = Tokenizer.from_str(json.dumps(base))
    raw.add_special_tokens([BEGIN, END_OF_TEXT, *HEADER, END_OF_MESSAGE, END_OF_TURN])
    begin = raw.token_to_id(BEGIN)
    raw.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, begin)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=BEGIN, eos_token=END_OF_TURN, model_max_length=4096
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_llama(tokenizer: Any, sizes: dict[str, Any]) -> LlamaForCausalLM:
    """Grouped heads, untied head and Llama 3.1's scaled rope, whose bend lies within the tests."""
    token_id = tokenizer.convert_tokens_to_ids
    ends = [token_id(token) for token in STOPS]
    config = LlamaConfig(
        **sizes
        | {"bos_token_id": token_id(BEGIN), "eos_token_id": ends, "pad_token_id": None}
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config)
