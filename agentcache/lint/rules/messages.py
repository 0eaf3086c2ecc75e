"""Rules about the history of a conversation, which only requests that were sent show: `explain` finds them there."""

from __future__ import annotations

from agentcache.lint.rules.references import (
    CACHE_DIAGNOSTICS,
    COMPACTION,
    CONTEXT_EDITING,
    PROMPT_CACHING,
    SYSTEM_MESSAGES,
    THINKING,
)
from agentcache.lint.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        code="PC025",
        what="A message that was sent before comes back with other content: an old tool result is shortened or"
        " emptied, a paragraph is taken out, a note is added.",
        why="A block's hash covers everything in front of it, so from the changed block on nothing of the"
        " conversation is read any more and all of it is written again. Where old results are cleared one by"
        " one, that happens in every turn.",
        bad='history[2]["content"][0]["content"] = "[old result removed]"\nhistory.append(question)',
        good="history.append(question)   # old results stay as they are until one compaction replaces all of them",
        references=(CACHE_DIAGNOSTICS, CONTEXT_EDITING, "https://github.com/QwenLM/qwen-code/issues/8452"),
        check=None,
    ),
    Rule(
        code="PC026",
        what="The oldest messages are dropped so that the history keeps a fixed length.",
        why="The first message is another one in every request, and everything stands behind it. Tools and"
        " system text are read; the conversation, by far the longest part, never is.",
        bad="messages = history[-20:]",
        good="messages = history                 # grows until it is long\n"
        "if tokens(history) > 100_000:\n"
        "    history = [summary_of(history)]  # then one large step, and it grows again",
        references=(CACHE_DIAGNOSTICS, COMPACTION, "https://github.com/ai-ecoverse/slicc/issues/87"),
        check=None,
    ),
    Rule(
        code="PC027",
        what="The history is replaced by a summary of it.",
        why="What is compacted is written anew once, which is the price of a shorter prompt and pays when many"
        " calls follow. Done in every turn, or with other tools or system text around the summary, it costs"
        " more than it saves.",
        bad="messages = [summary_of(history), question]   # before each call",
        good="if tokens(history) > limit:                 # rarely, with a breakpoint at the end of the system text\n"
        "    history = [summary_of(history)]\nmessages = [*history, question]",
        references=(COMPACTION, "https://github.com/vercel/eve/pull/175"),
        check=None,
    ),
    Rule(
        code="PC028",
        what="The input of an earlier tool call comes back with its keys in another order.",
        why="What is compared is the text that the API makes of the request, and in a tool call's input the"
        " order of keys is part of it. Languages whose maps have no order change it at random, so that a"
        " conversation is read now and then only.",
        bad='{"type": "tool_use", "input": {"city": "Rome", "unit": "C"}}   // first sent\n'
        '{"type": "tool_use", "input": {"unit": "C", "city": "Rome"}}   // sent again',
        good='messages.append({"role": "assistant", "content": response.content})   # exactly as it came',
        references=(PROMPT_CACHING, "https://github.com/OpenRouterTeam/ai-sdk-provider/pull/472"),
        check=None,
    ),
    Rule(
        code="PC029",
        what="An earlier answer or tool result is sent again in another form: trimmed, two blocks made into one,"
        " ids or times of its own given anew.",
        why="A block's hash covers everything in front of it. Whatever rebuilds a stored answer from parts"
        " changes it somewhere, and the conversation is written again from there.",
        bad='messages.append({"role": "assistant", "content": answer_text.strip()})',
        good='messages.append({"role": "assistant", "content": response.content})',
        references=(CACHE_DIAGNOSTICS, "https://github.com/maximhq/bifrost/issues/3362"),
        check=None,
    ),
    Rule(
        code="PC030",
        what="Thinking blocks of earlier answers are left out when the history is sent again.",
        why="What was cached held them. The shortened turn is another text, and everything behind it is written"
        " again; within a tool loop the API may even refuse the request.",
        bad='content = [block for block in response.content if block.type != "thinking"]',
        good="content = response.content   # the API itself leaves out what a model does not read",
        references=(THINKING, PROMPT_CACHING, "https://github.com/gptme/gptme/pull/2727"),
        check=None,
    ),
    Rule(
        code="PC031",
        what="A model of an older generation (Opus before 4.5, Sonnet before 4.6, Haiku up to 4.5) gets a user"
        " message that is no tool result, after answers that held thinking.",
        why="Such a model drops its earlier thinking then. The request is unchanged byte for byte, and still"
        " what is cached no longer fits: the messages are written again once for each message of the user.",
        bad='model = "claude-sonnet-4-5"   # with thinking, and a breakpoint on the last message only',
        good='model = "claude-sonnet-5-5"   # keeps its thinking; on an old model mark the end of the system text too',
        references=(THINKING, PROMPT_CACHING, "https://github.com/anthropics/claude-code/issues/20249"),
        check=None,
    ),
    Rule(
        code="PC032",
        what="A reminder is put into a message for one call and is gone from it in the next.",
        why="Taking it out changes an earlier message: from there on the history is written again, in every turn.",
        bad='messages[-1]["content"] += "<reminder>Be brief.</reminder>"   # and removed before the next call',
        good='messages.append({"role": "system", "content": "Be brief.", "clear_at": "next_user_message"})\n'
        "# where the model takes no such message: leave the old copy where it is",
        references=(SYSTEM_MESSAGES, "https://github.com/anthropics/claude-code/issues/90584"),
        check=None,
    ),
    Rule(
        code="PC033",
        what="A conversation gets its first picture, or loses its last one.",
        why="Whether there is any picture counts for the hash of all messages. When that changes, the whole"
        " history is written again; tools and system text are read.",
        bad="history = [without_images(message) for message in history]   # screenshots are thrown away",
        good="# keep pictures where they are; drop them together, at a compaction",
        references=(PROMPT_CACHING, "https://github.com/cloudflare/agents/issues/2200"),
        check=None,
    ),
    Rule(
        code="PC034",
        what="The same picture is sent with other bytes: encoded anew, or under a signed address that changes.",
        why="A picture is compared by what was sent. A second encoding of it is a second picture at the same"
        " place, and everything behind it is written again.",
        bad='"data": base64.b64encode(render_png(page))   # in every call',
        good='"data": kept[page]                          # encoded once; or a file id of the Files API',
        references=(PROMPT_CACHING, "https://github.com/StitchDesign/Stitch/pull/1665"),
        check=None,
    ),
    Rule(
        code="PC035",
        what="The first message of a conversation is made anew for each call and says something else each time:"
        " the date, the files of a folder, the state of a repository.",
        why="The whole conversation stands behind it, so nothing but tools and system text is ever read.",
        bad='messages = [{"role": "user", "content": snapshot_of(project)}, *history]',
        good="first = snapshot_of(project)   # once, when the session starts; news go into the newest message\n"
        'messages = [{"role": "user", "content": first}, *history]',
        references=(PROMPT_CACHING, "https://github.com/Cocolalilal/LastChat/issues/197"),
        check=None,
    ),
)
