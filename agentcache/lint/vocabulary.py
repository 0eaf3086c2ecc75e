"""What names mean, as data: the words that people use for values that vary.

Names are split into words (`userName`, `user_name` -> user, name) and compared as words, never as parts of words:
`today_policy` holds the word today and is no date, since what a name is about stands in its last words. Two kinds of
table: what a *source* gives (a global, a filter, a method that is called), where only a well-known meaning counts, and
what a *variable* holds that is declared to vary anyway, where the meaning only chooses the code.
"""

from __future__ import annotations

import re
from functools import lru_cache

from agentcache.lint.origins import OriginKind

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: `requestId`, `request-id` and `REQUEST_ID` are request, id."""
    return tuple(word.lower() for part in re.split(r"[^A-Za-z0-9]+", name) for word in _WORD.findall(part))


_ = frozenset

# --- Clocks: what is asked for the time. The words alone, or with a word that says "the present one".
_CLOCK_NAMES = _(
    """now utcnow nowutc utc_now now_utc time time_ns timestamp timestamps clock epoch uptime localtime gmtime
    ctime asctime monotonic monotonic_ns perf_counter perf_counter_ns process_time unixtime unix_time unix timenow ts
    now_iso isonow iso_now datetime_now time_now now_str strftime_now moment get_now getnow wallclock wall_clock
    minute second hour minutes seconds time_of_day timeofday elapsed millis milliseconds nanoseconds""".split()
)
_PRESENT = _(
    "current now local utc server system present get wall actual todays request host generation render".split()
)
_TIME_WORDS = _("time timestamp datetime clock hour minute second seconds minutes epoch instant moment now".split())
# A value that is stamped when something happened: `generated_at`, `sent_at`. What a past participle needs is `at`.
_STAMPED = _(
    "generated rendered requested created updated started fetched sent received issued built compiled printed "
    "refreshed loaded modified checked synced logged".split()
)
# Filters that count from now on.
_RELATIVE_TIME = _(
    "timeago time_ago naturaltime natural_time timesince time_since timeuntil relative_time from_now fromnow "
    "humanize_time ago age".split()
)

# --- Days.
_DATE_NAMES = _(
    """today date day weekday todays_date today_date date_today current_date day_of_week dayofweek day_name
    tomorrow yesterday day_of_year week_number weekno isoweekday utc_today utctoday""".split()
)
_DAY_WORDS = _("date day week weekday month year quarter".split())

# --- Identifiers made for one request, message or run.
_ID_NAMES = _(
    """uuid uuid1 uuid4 uuid6 uuid7 uuid4_hex guid ulid nanoid nano_id nonce ksuid cuid xid token_hex token_urlsafe
    token_bytes objectid object_id idempotency_key random_id unique_id new_id make_id gen_id generate_id request_key
    short_id shortid rid reqid traceparent traceid requestid correlationid""".split()
)
_ID_OWNERS = _(
    """request trace span correlation message transaction run session conversation thread call invocation job
    unique random event execution response prompt completion render req msg tx batch idempotency operation interaction
    turn chat""".split()
)
_ID_WORDS = _("id ids uuid guid uid key token ref nonce hash no".split())

# --- Who it is. The thing (`customer`), or a word that names a person (`name`, `email`) with or without the thing.
_PEOPLE = _(
    """user customer client member person employee account tenant organisation organization org company author
    requester reporter assignee reviewer operator caller guest visitor shopper buyer seller learner teacher student
    patient doctor driver passenger recipient sender applicant candidate contact subscriber holder owner speaker viewer
    player donor admin agent engineer analyst manager colleague participant profile me principal actor identity
    recipient merchant partner householder resident traveller traveler parent child team workspace""".split()
)
_WHO = _(
    """user username customer client member person employee account tenant organisation organization org company
    email mail phone login nickname surname firstname lastname fullname requester caller subscriber patient student
    whoami identity principal me nick handle telephone mobile msisdn ssn
    customers""".split()
)
_NAMING = _(
    "name names email mail phone id uid login handle username surname firstname lastname address title slug number".split()
)
_PERSONAL = (
    _("first name".split()),
    _("last name".split()),
    _("full name".split()),
    _("display name".split()),
    _("given name".split()),
    _("family name".split()),
    _("preferred name".split()),
    _("nick name".split()),
    _("e mail".split()),
    _("phone number".split()),
    _("email address".split()),
    _("middle name".split()),
)

# --- Machine and place of work.
_HOST_NAMES = _(
    """host hostname fqdn gethostname getfqdn cwd pwd getcwd getcwdb workdir pid ppid getpid getppid pod podname
    node nodename env environ getenv environment_variable envvar env_var uname tmpdir tmp tempdir gettempdir mkdtemp
    mkstemp homedir home ip ipaddress ip_address localhost machine mac getuser getlogin whoami_os container
    container_id getnode cpu_count executable argv loadavg getloadavg instance_id replica worker kernel
    expanduser abspath realpath os_name os_version platform""".split()
)
_HOST_ROOTS = _("env environ environment_variables sys platform socket tempfile psutil getpass".split())
_PLACES = _(
    "working work current temp tmp home project workspace root scratch install checkout repo source data base".split()
)
_PATHS = _("dir directory folder path root tree".split())
_HOST_WORDS = _("hostname pod pid cwd environ envvar".split())

# --- State of a repository.
_GIT_NAMES = _(
    """git sha branch commit dirty revision rev branch_name git_sha commit_sha commit_hash head_sha short_sha
    commit_id hexsha git_status git_branch git_diff current_branch worktree uncommitted uncommitted_changes changed_files
    git_log last_commit latest_commit is_dirty head_commit head_ref""".split()
)
_GIT_WORDS = _("git commit sha dirty hexsha worktree uncommitted".split())

# --- What counts on with every call.
_COUNTER_NAMES = _(
    """turn turns step iteration attempt attempts counter count retries retry retry_count usage budget seq
    sequence serial serial_number tick ticks progress spent remaining quota usage_so_far token_usage tokens tokens_used
    tokens_left used_tokens increment inc next_number next_serial context_left context_used headroom
    round cursor offset position""".split()
)
_COUNTED = _(
    """turn turns step steps iteration iterations attempt attempts retry retries message messages token tokens
    call calls round rounds request requests budget quota cost credit credits usd dollars context window time""".split()
)
_COUNTING = _(
    """number count no index num counter left remaining used spent total consumed usage budget sofar far
    quota so current""".split()
)
_NEXT = _("serial number index seq sequence id no count counter value ticket".split())

# --- What is looked up for the question at hand, or changes by itself.
_LIVE_NAMES = _(
    """memory memories recall recalled retrieve retrieved retrieval rag search similarity_search query fetch
    documents docs passages chunks snippets context contexts knowledge weather forecast stock stocks price prices quote
    quotes rate rates news headlines feed inbox alerts sensor sensors metrics hits matches neighbours neighbors
    search_results results scratchpad inventory availability balance traffic stock_level stock_levels tool_result
    tool_results last_result vector_search semantic_search knn top_k kb_search lookup_documents history transcript
    related citations sources evidence facts summary_so_far notifications tweets tickets_now status_page
    market_data telemetry queue_depth
    observation observations""".split()
)
_LIVE_CALLS = _(
    """retrieve retrieval recall search query fetch similarity_search vector_search semantic_search weather
    forecast stock price prices news headlines feed inbox sensor metrics memory memories rag knn execute scalar
    scalars urlopen read_url http_get web_search lookup_docs get_context get_documents get_weather
    get_relevant_documents get_memories load_memory remember nearest market ticker relevant live latest
    fetch_json exchange_rate fx_rate status_of current_load queue_depth""".split()
)
_LIVE_WORDS = _(
    """retrieve retrieved retrieval recall recalled memory memories fetched live latest realtime weather
    forecast headlines news search rag""".split()
)
_LIVE_ROOTS = _(
    "memory memories vectorstore vector_store retriever rag db database cursor http requests httpx api weather "
    "stocks market sensors kb knowledge_base index elastic redis cache".split()
)

# --- Chance.
_RANDOM_NAMES = _(
    """random rand randint randrange choice choices sample shuffle shuffled uniform gauss randbytes
    getrandbits urandom lipsum lorem dice coin coin_flip randbelow permutation random_sample pick_random
    random_choice rand_choice sample_one randomize randomise jitter reservoir betavariate normalvariate triangular""".split()
)
_RANDOM_WORDS = _("random randomly randomized randomised shuffle shuffled rand".split())
_RANDOM_ROOTS = _("random secrets faker fake rng".split())

# --- What belongs to a session, asked from the environment instead of declared.
_SESSION_ROOTS = _("request session cookies headers current_session get_locale current_locale".split())
_USER_ROOTS = _("user current_user get_user get_current_user customer tenant current_tenant identity principal".split())

# --- Always the same although a word sounds otherwise.
_STABLE_CALLS = _(
    """uuid3 uuid5 fromisoformat fromtimestamp utcfromtimestamp strptime combine fromordinal fromisocalendar
    timedelta timezone tzinfo zoneinfo relativedelta join basename dirname splitext normpath sep linesep
    strptime parse date_parse isoparse""".split()
)
_STABLE_ROOTS = _("math json re string itertools functools collections operator textwrap html".split())
_MODULES = _("datetime date time dt arrow pendulum moment calendar dateutil uuid os random secrets timezone".split())
"""Names that are a module or a class until something of it is called."""


def format_has_hours(written: str) -> bool:
    """Say whether a format for dates shows more than the day: `%H:%M`, `HH:mm`; not `%d %b %Y`, `YYYY-MM-DD`."""
    if "%" in written:
        return bool(re.search(r"%[-_0^#]?[HIMSfpTRXcsrklLN]", written))
    bare = re.sub(r"\[[^\]]*\]|'[^']*'", "", written)
    return bool(re.search(r"[HhGgKks]|mm|:", bare))


def format_is_local(written: str) -> bool:
    """Say whether a strftime format leaves the form to the locale of the process (`%c`, `%x`, `%X`)."""
    return bool(re.search(r"%[-_0^#E]?[cxXr+]|%EY", written))


def _joined(words: tuple[str, ...]) -> str:
    return "_".join(words)


def source_meaning(path: tuple[str, ...], *, called: bool) -> OriginKind | None:
    """Return what a global of this dotted path gives, `None` for what is the same every time or not known."""
    if not path or path[-1] == "UUID":
        return None
    names = [_joined(words_of(part)) for part in path]
    last, root, words = names[-1], names[0], words_of(path[-1])
    if root in _STABLE_ROOTS or last in _STABLE_CALLS:
        return None
    if len(names) == 1 and last in _MODULES and not (called and last in {"time", "uuid", "random", "moment"}):
        return None
    known = _source_word(names, words, called=called)
    if known is not None:
        return known
    if root in _HOST_ROOTS and (len(names) > 1 or called):
        return OriginKind.HOST
    if root in _SESSION_ROOTS and (len(names) > 1 or called):
        return variable_meaning(path[1:]) or OriginKind.SESSION
    if root in _USER_ROOTS:
        return OriginKind.IDENTITY if len(names) == 1 or last in _NAMING | _WHO else OriginKind.SESSION
    if root in {"git", "repo", "repository"} and (
        root == "git" or _GIT_WORDS & {*words} or last in _GIT_NAMES | {"head"}
    ):
        return OriginKind.GIT
    if root in _RANDOM_ROOTS and called:
        return OriginKind.RANDOM
    return OriginKind.LIVE if root in _LIVE_ROOTS and called and len(names) > 1 else None


def _source_word(names: list[str], words: tuple[str, ...], *, called: bool) -> OriginKind | None:
    last, before = names[-1], names[-2] if len(names) > 1 else ""
    if last == "today":
        return OriginKind.CLOCK if before == "datetime" else OriginKind.DATE
    if last in {"date", "day", "year", "month", "hour", "minute", "second"} and not _is_clock_path(names[:-1]):
        return None
    if _is_clock(last, words, called=called):
        return OriginKind.CLOCK
    if last in _DATE_NAMES or _present(words, _DAY_WORDS):
        return OriginKind.DATE
    if last in _ID_NAMES or _is_request_id(words):
        return OriginKind.ID
    if last in _RANDOM_NAMES or _RANDOM_WORDS & {*words}:
        return OriginKind.RANDOM
    if last in _GIT_NAMES or _GIT_WORDS & {*words}:
        return OriginKind.GIT
    if (last in _HOST_NAMES and last not in _HOST_ROOTS) or _HOST_WORDS & {*words} or _is_place(words):
        return OriginKind.HOST
    if _is_counter(last, words):
        return OriginKind.COUNTER
    if called and (last in _LIVE_CALLS or _LIVE_WORDS & {*words}):
        return OriginKind.LIVE
    return None


def _is_clock_path(names: list[str]) -> bool:
    return any(name in {"now", "utcnow", "clock"} for name in names)


def _is_clock(last: str, words: tuple[str, ...], *, called: bool) -> bool:
    if last == "time" and not called:
        return False
    bare = last in _CLOCK_NAMES - {"elapsed", "unix", "hour", "minute", "second", "hours", "minutes", "seconds"}
    return bare or last in _RELATIVE_TIME or _present(words, _TIME_WORDS) or "now" in words[-1:] + words[:1]


def _present(words: tuple[str, ...], things: frozenset[str]) -> bool:
    return len(words) > 1 and words[-1] in things and bool(_PRESENT & {*words[:-1]})


def _is_request_id(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1] in _ID_WORDS and words[-2] in _ID_OWNERS


def _is_place(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1] in _PATHS and words[-2] in _PLACES


def _is_counter(last: str, words: tuple[str, ...]) -> bool:
    if last in _COUNTER_NAMES:
        return True
    if len(words) < 2:
        return False
    if words[0] == "next" and words[-1] in _NEXT:
        return True
    if words[0] in {"remaining", "used", "spent"} and {*words[1:]} & _COUNTED:
        return True
    return words[-1] in _COUNTING and bool({*words[:-1]} & _COUNTED) or words[-1] in {"counter", "remaining"}


def filter_meaning(name: str) -> OriginKind | None:
    """Return what an unknown filter of this name adds to the value that it is given."""
    last = _joined(words_of(name))
    if last in _RELATIVE_TIME:
        return OriginKind.CLOCK
    if last in {"hash", "id", "object_id", "addr", "address_of"}:
        return OriginKind.OBJECT_TEXT
    if last in {"date", "time", "day", "strftime", "timestamp", "unix", "count", "step", "position", "round"}:
        return None
    if last in {"env", "getenv"}:
        return OriginKind.HOST
    return source_meaning((name,), called=True)


@lru_cache(maxsize=4096)
def variable_meaning(path: tuple[str, ...]) -> OriginKind | None:
    """Return what a variable that varies holds, by its name and the attribute that is read; `None` if names do not say.

    The attribute says it before the variable does: `user.plan` is about a plan, `clock.minute` about a clock.
    """
    if not path:
        return None
    last = _variable_word(path[-1])
    if last is not None or len(path) == 1:
        return last
    words = words_of(path[-1])
    parent = words_of(path[-2])
    if words and words[-1] in _NAMING and parent and parent[-1] in _PEOPLE:
        return OriginKind.IDENTITY
    if words and words[-1] in _ID_WORDS and parent and parent[-1] in _ID_OWNERS:
        return OriginKind.ID
    above = variable_meaning(path[:-1])
    return None if above in {OriginKind.IDENTITY, OriginKind.ID} else above


def _variable_word(name: str) -> OriginKind | None:
    words = words_of(name)
    last = _joined(words)
    if last in _CLOCK_NAMES or _present(words, _TIME_WORDS) or _is_stamped(words) or words[-1:] == ("now",):
        return OriginKind.CLOCK
    if last in _DATE_NAMES or _present(words, _DAY_WORDS):
        return OriginKind.DATE
    if _is_person(last, words):
        return OriginKind.IDENTITY
    if last in _ID_NAMES or _is_request_id(words):
        return OriginKind.ID
    if last in _GIT_NAMES or _GIT_WORDS & {*words}:
        return OriginKind.GIT
    if last in _HOST_NAMES or _HOST_WORDS & {*words} or _is_place(words):
        return OriginKind.HOST
    if _is_counter(last, words):
        return OriginKind.COUNTER
    if last in _LIVE_NAMES or _LIVE_WORDS & {*words}:
        return OriginKind.LIVE
    return OriginKind.RANDOM if last in _RANDOM_NAMES or _RANDOM_WORDS & {*words} else None


def _is_stamped(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1] in {"at", "on", "timestamp"} and words[-2] in _STAMPED


def _is_person(last: str, words: tuple[str, ...]) -> bool:
    if last in _WHO or last == "name":
        return True
    if len(words) < 2:
        return False
    if any(personal <= {*words[-2:]} for personal in _PERSONAL) or words[-1] in {"email", "username", "phone"}:
        return True
    return words[-1] in _NAMING and words[-2] in _PEOPLE - {"team", "agent"}
