"""Rules about where text stands and how much there is of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agentcache.lint.duplicates import Copy
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Place
from agentcache.lint.losses import in_words, never_read, read_for_nothing, rewritten
from agentcache.lint.prompt_tokens import PromptTokens
from agentcache.lint.rules.found import found
from agentcache.lint.rules.rule import Rule
from agentcache.lint.text_flow import FlowPiece
from agentcache.prompt.model_facts import ModelFacts, facts_for
from agentcache.prompt.sections import Stability
from agentcache.prompt.token_estimate import text_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """Text of a layer that does not vary and could stand in a more stable one.

    tokens: of all such text. text: where the first of it begins. values: the varying values in front of that, in order.
    runs: the pieces of text, each without a value in it.
    """

    layer: Stability
    tokens: int
    text: Place
    values: tuple[Place, ...]
    runs: tuple[str, ...]


def _below_minimum(examination: Examination) -> Iterator[Finding]:
    tokens = examination.tokens
    if tokens is None or not tokens.complete or not tokens.facts.known or not examination.sources.layers:
        return
    minimum = tokens.facts.minimum_prefix_tokens
    path = examination.sources.layers[0].path
    model = tokens.facts.model
    if tokens.prefix < minimum:
        loss = never_read(tokens.prefix, tokens.facts)
        yield found(
            "PC048",
            examination,
            Place(path=path),
            f"tools and system prompt have about {tokens.prefix:,} tokens, and {model} caches no prefix shorter than "
            f"{minimum:,}: the markers do nothing until the conversation has grown by "
            f"{minimum - tokens.prefix:,} tokens"
            f"{in_words(loss)}",
            confidence=Confidence.LIKELY if tokens.prefix < minimum * _SURELY_BELOW else Confidence.POSSIBLE,
            loss=loss,
        )
        return
    shared = tokens.through(Stability.SEMI_STATIC)
    if shared >= minimum or not _layer_varies(examination, Stability.SESSION):
        return
    movable = _movable_beside(examination, Stability.SESSION, ())
    if movable is None or shared + movable.tokens < minimum:
        loss = never_read(shared, tokens.facts)
        yield found(
            "PC048",
            examination,
            Place(path=path),
            f"what sessions share (tools, static and semi-static text) has about {shared:,} tokens, and {model} "
            f"caches "
            f"no prefix shorter than {minimum:,}: every session writes it anew{in_words(loss, of='sessions')}",
            confidence=Confidence.LIKELY if shared < minimum * _SURELY_BELOW else Confidence.POSSIBLE,
            loss=loss,
        )


def _static_after_volatile(examination: Examination) -> Iterator[Finding]:
    for layer in (Stability.SEMI_STATIC, Stability.SESSION):
        movable = _movable(examination, layer)
        if movable is None:
            continue
        facts = _facts(examination)
        loss = rewritten(movable.tokens, facts)
        place = movable.values[-1] if movable.values else movable.text
        often = "session" if layer is Stability.SESSION else "change of the semi-static values"
        where = "behind this value" if movable.values else "in this layer, beside values that vary"
        yield found(
            "PC055",
            examination,
            place,
            f"about {movable.tokens:,} tokens of text that is always the same stand {where}: they are written "
            f"anew with "
            f"each {often} instead of being read{in_words(loss, of=f'{often.split(maxsplit=1)[0]}s')}",
            layer=layer,
            confidence=Confidence.LIKELY if layer is Stability.SESSION else Confidence.POSSIBLE,
            fix="move the text that does not vary into the static layer, in front of every value",
            also=(movable.text, *movable.values[:-1][::-1]),
            loss=loss,
        )


@lru_cache(maxsize=4)  # two rules ask about the same agent, one after the other
def _movable(examination: Examination, layer: Stability) -> Movable | None:
    return _movable_beside(examination, layer, examination.copies)


def _movable_beside(examination: Examination, layer: Stability, twice: Sequence[Copy]) -> Movable | None:
    """Return the text of a layer that is worth moving; text that stands elsewhere too is not counted."""
    facts = _facts(examination)
    flow = [
        piece for file in examination.sources.layers if file.layer is layer for piece in examination.pieces_of(file)
    ]
    if not any(piece.text is None for piece in flow):
        return None  # a layer without values is the same for everybody, and read like any other
    total, first, values, before, texts = 0, None, list[Place](), list[Place](), list[str]()
    for run in _runs(flow):
        if isinstance(run, Place):
            values.append(run)
            continue
        whole = text = "".join(piece.text or "" for piece in run)
        for copy in twice:
            text = text.replace(copy.text, "")
        tokens = text_tokens(text.strip(), facts)
        if tokens < _PARAGRAPH or (layer is Stability.SEMI_STATIC and not values):
            continue
        total += tokens
        texts.append(whole)
        if first is None:
            first, before = _beginning(run), list(values)
    if first is None or total < worth_moving(examination.tokens, layer, facts):
        return None
    return Movable(layer=layer, tokens=total, text=first, values=tuple(before), runs=tuple(texts))


def _runs(flow: Sequence[FlowPiece]) -> Iterator[Place | list[FlowPiece]]:
    """Yield each value's place, and text between values in one list."""
    run: list[FlowPiece] = []
    for piece in flow:
        if piece.text is not None:
            run.append(piece)
            continue
        if run:
            yield run
            run = []
        yield piece.place
    if run:
        yield run


def _beginning(run: Sequence[FlowPiece]) -> Place:
    return next((piece.place for piece in run if (piece.text or "").strip()), run[0].place)


def _layer_varies(examination: Examination, layer: Stability) -> bool:
    return any(
        piece.text is None
        for file in examination.sources.layers
        if file.layer is layer
        for piece in examination.pieces_of(file)
    )


def worth_moving(tokens: PromptTokens | None, layer: Stability, facts: ModelFacts) -> int:
    """Return from how many tokens on stable text in a layer is a mistake.

    To write a token costs `write - read` more than to read it. Text is worth a finding once that makes up as much as
    reading all that is shared in front of the layer: from there on the misplaced text, and not the prefix, decides what
    the call costs. No less than a paragraph or two, since a layer needs words around its values; no more than the
    model's minimum, since what could be cached by itself is never little.
    """
    in_front = 0 if tokens is None else tokens.through(_BEFORE[layer])
    prices = facts.prices_for()
    share = _READ_SHARE if prices is None else prices.read_usd / (prices.write_5m_usd - prices.read_usd)
    return max(_LEAST, min(round(in_front * share), facts.minimum_prefix_tokens))


def _duplicated(examination: Examination) -> Iterator[Finding]:
    facts = _facts(examination)
    twice = examination.copies
    misplaced = [
        run
        for layer in (Stability.SEMI_STATIC, Stability.SESSION)
        if (movable := _movable(examination, layer)) is not None
        for run in movable.runs
    ]
    for copy in twice:
        if any(copy.text in run and len(copy.text) * 2 < len(run) for run in misplaced):
            continue  # a sentence of a text that stands in the wrong layer (PC055): one mistake, and it is told
        tokens = text_tokens(copy.text, facts)
        loss = read_for_nothing(tokens, facts)
        where = copy.first.path.rsplit("/", 1)[-1]
        also = dict.fromkeys((copy.first, *copy.also))
        yield found(
            "PC056",
            examination,
            copy.second,
            f"these {tokens:,} tokens stand in {where} on line {copy.first.line} too: every call pays for both copies"
            f"{in_words(loss)}",
            layer=copy.section.layer,
            also=tuple(also),
            loss=loss,
        )


def _facts(examination: Examination) -> ModelFacts:
    """Return the facts of the agent's model, or what is assumed of one that nobody knows: then there is no price."""
    return examination.facts or facts_for("")


_SURELY_BELOW = 0.9
"""The estimate of whole requests is off by 13 % in one of ten (token_estimate.py)."""
_PARAGRAPH = 40
"""Tokens of text between two values from which on it can stand by itself; less belongs to the values."""
_LEAST = 150
_READ_SHARE = 0.1
_BEFORE = {Stability.SEMI_STATIC: Stability.STATIC, Stability.SESSION: Stability.SEMI_STATIC}

_DOCS = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"

RULES = (
    Rule(
        code="PC048",
        what="Estimates how many tokens tools and system prompt have and compares them with the shortest prefix "
        "that the "
        "model caches. Tools count, since they come first. Also finds a prompt that is long enough only with its "
        "session layer, so that sessions share nothing.",
        why="A marker on a shorter prefix is no error and does nothing: both cache counters stay 0 and every "
        "call pays in "
        "full. The minimum is 512 to 4,096 tokens, depending on the model.",
        bad="You are a helpful assistant.\n",
        good="The instructions, rules and examples that the task needs, in one static section over the minimum; "
        "or a model "
        "with a lower one.\n",
        references=(_DOCS, "https://github.com/langchain-ai/langgraph-supervisor-py/issues/59"),
        check=_below_minimum,
    ),
    Rule(
        code="PC055",
        what="Finds text that is always the same behind a value that varies, in the session or semi-static layer, once "
        "writing it anew costs as much as reading everything in front of it.",
        why="The cache reads a prefix up to its first different byte. Stable text behind a session's value is "
        "written once "
        "for every session at 1.25 times the input price; in the static layer it is written once for all and read "
        "from then on.",
        bad="Customer: {{ customer }}\n\n## Return policy\n(three pages that are the same for everybody)\n",
        good="static.j2: ## Return policy …\nsession.j2: Customer: {{ customer }}\n",
        references=(_DOCS,),
        check=_static_after_volatile,
    ),
    Rule(
        code="PC056",
        what="Finds text of thirty words or more that stands twice in the prompt, in one layer or in two, "
        "however its lines "
        "are broken and whatever bullets it has.",
        why="Reads are cheap and not free: the copy is paid with every call, and a model that finds a rule "
        "twice wonders "
        "where they differ.",
        bad="static.j2 and session.j2 both hold the section on style.\n",
        good="static.j2 holds it; the session layer says only what is the session's.\n",
        references=(_DOCS,),
        check=_duplicated,
    ),
)
