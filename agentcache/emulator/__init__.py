"""An offline Messages API that bills as the real one does, and the room where agentcache is judged.

The parts, in the order a request meets them: `refusals` and `json_values` (what a body may be), `validation`,
`content_rules`, `conversation_rules` and `markers` (what the API refuses), `positions` (what the cache hashes),
`prompt_cache` (what a prompt is charged), `replies` (who answers), `messages_api` (status, headers, body or events),
and `server` (a socket). Only `clock` and `server` touch the world.

Of the rest of agentcache it uses model facts, the token estimate and the error classes, and nothing else: an emulator
that shared the hashing of the code under test would agree with its mistakes.
"""
