"""What names mean, as data: the words that people use for values that vary.

Names are split into words (`userName`, `user_name` -> user, name) and compared as words, never as parts of words:
`today_policy` holds the word today and is no date, since what a name is about stands in its last words. Two kinds of
table: what a *source* gives (a global, a filter, a method that is called), where only a well-known meaning counts, and
what a *variable* holds that is declared to vary anyway, where the meaning only chooses the code.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- Clocks: what is asked for the time. The words alone, or with a word that says "the present one".
CLOCK_NAMES = _words(
    """
    now utcnow nowutc utc_now now_utc time time_ns timestamp timestamps clock epoch uptime localtime gmtime
    ctime asctime monotonic monotonic_ns perf_counter perf_counter_ns process_time unixtime unix_time unix
    timenow ts now_iso isonow iso_now datetime_now time_now now_str strftime_now moment get_now getnow wallclock
    wall_clock minute second hour minutes seconds time_of_day timeofday elapsed millis milliseconds nanoseconds
    """
)
PRESENT = _words("current now local utc server system present get wall actual todays request host generation render")
TIME_WORDS = _words("time timestamp datetime clock hour minute second seconds minutes epoch instant moment now")
# A value that is stamped when something happened: `generated_at`, `sent_at`. What a past participle needs is `at`.
STAMPED = _words(
    """
    generated rendered requested created updated started fetched sent received issued built compiled printed
    refreshed loaded modified checked synced logged
    """
)
# Filters that count from now on.
RELATIVE_TIME = _words(
    """
    timeago time_ago naturaltime natural_time timesince time_since timeuntil relative_time from_now fromnow
    humanize_time ago age
    """
)

# --- Days.
DATE_NAMES = _words(
    """
    today date day weekday todays_date today_date date_today current_date day_of_week dayofweek day_name
    tomorrow yesterday day_of_year week_number weekno isoweekday utc_today utctoday
    """
)
DAY_WORDS = _words("date day week weekday month year quarter")

# --- Identifiers made for one request, message or run.
ID_NAMES = _words(
    """
    uuid uuid1 uuid4 uuid6 uuid7 uuid4_hex guid ulid nanoid nano_id nonce ksuid cuid xid token_hex token_urlsafe
    token_bytes objectid object_id idempotency_key random_id unique_id new_id make_id gen_id generate_id
    request_key short_id shortid rid reqid traceparent traceid requestid correlationid
    """
)
ID_OWNERS = _words(
    """
    request trace span correlation message transaction run session conversation thread call invocation job
    unique random event execution response prompt completion render req msg tx batch idempotency operation
    interaction turn chat
    """
)
ID_WORDS = _words("id ids uuid guid uid key token ref nonce hash no")

# --- Who it is. The thing (`customer`), or a word that names a person (`name`, `email`) with or without the thing.
PEOPLE = _words(
    """
    user customer client member person employee account tenant organisation organization org company author
    requester reporter assignee reviewer operator caller guest visitor shopper buyer seller learner teacher
    student patient doctor driver passenger recipient sender applicant candidate contact subscriber holder owner
    speaker viewer player donor admin agent engineer analyst manager colleague participant profile me principal
    actor identity recipient merchant partner householder resident traveller traveler parent child team
    workspace
    """
)
WHO = _words(
    """
    user username customer client member person employee account tenant organisation organization org company
    email mail phone login nickname surname firstname lastname fullname requester caller subscriber patient
    student whoami identity principal me nick handle telephone mobile msisdn ssn customers author assignee
    reporter reviewer analyst engineer manager supervisor operator owner contact recipient sender applicant
    candidate guest visitor learner teacher doctor
    """
)
NAMING = _words(
    """
    name names email mail phone id uid login handle username surname firstname lastname address title slug
    number
    """
)
PERSONAL = (
    _words("first name"),
    _words("last name"),
    _words("full name"),
    _words("display name"),
    _words("given name"),
    _words("family name"),
    _words("preferred name"),
    _words("nick name"),
    _words("e mail"),
    _words("phone number"),
    _words("email address"),
    _words("middle name"),
)

# --- Machine and place of work.
HOST_NAMES = _words(
    """
    host hostname host_name fqdn gethostname getfqdn cwd pwd getcwd getcwdb workdir pid ppid getpid getppid pod
    podname pod_name node_name nodename env environ getenv environment_variable envvar env_var uname tmpdir tmp
    tempdir gettempdir mkdtemp mkstemp homedir ip ipaddress ip_address localhost mac getuser getlogin whoami_os
    container_id getnode cpu_count executable argv loadavg getloadavg instance_id expanduser abspath realpath
    os_name os_version
    """
)
# Words for a machine that for a product mean something else: they count for what the environment gives only.
MACHINES = _words("node home machine container replica worker kernel platform")
HOST_ROOTS = _words("env environ environment_variables sys platform socket tempfile psutil getpass")
PLACES = _words(
    """
    working work current temp tmp home project workspace root scratch install checkout repo source data base
    """
)
PATHS = _words("dir directory folder path root tree")
HOST_WORDS = _words("hostname pod pid cwd environ envvar")

# --- State of a repository.
GIT_NAMES = _words(
    """
    git sha branch commit dirty revision rev branch_name git_sha commit_sha commit_hash head_sha short_sha
    commit_id hexsha git_status git_branch git_diff current_branch worktree uncommitted uncommitted_changes
    changed_files git_log last_commit latest_commit is_dirty head_commit head_ref
    """
)
REPOSITORIES = _words("git repo repository")
REPOSITORY_WORDS = _words("git commit sha dirty hexsha worktree uncommitted branch head status diff revision log")
GIT_WORDS = _words("git commit sha dirty hexsha worktree uncommitted commits")

# --- What counts on with every call.
COUNTER_NAMES = _words(
    """
    turn turns step iteration attempt attempts counter count retries retry retry_count usage budget seq sequence
    serial serial_number tick ticks progress spent remaining quota usage_so_far token_usage tokens tokens_used
    tokens_left used_tokens increment inc next_number next_serial context_left context_used headroom round
    """
)
COUNTED = _words(
    """
    turn turns step steps iteration iterations attempt attempts retry retries message messages token tokens call
    calls round rounds request requests budget quota cost credit credits usd dollars context window time
    """
)
COUNTING = _words(
    """
    number count no index num counter left remaining used spent made taken done total consumed usage budget
    sofar far quota so current
    """
)
COUNTER_ROOTS = _words("tokens usage token_usage budget turns counter counters quota")
# Counters by name, but functions of many libraries too.
COUNTING_FUNCTIONS = _words("count round progress usage")
NEXT = _words("serial number index seq sequence id no count counter value ticket")

# --- What is looked up for the question at hand, or changes by itself.
LIVE_NAMES = _words(
    """
    memory memories recall recalled retrieve retrieved retrieval rag similarity_search     documents docs
    passages chunks snippets context contexts knowledge weather forecast stock stocks price
    prices rate rates news headlines feed inbox alerts sensor sensors metrics hits matches
    neighbours neighbors search_results results scratchpad inventory availability balance traffic stock_level
    stock_levels tool_result tool_results last_result vector_search semantic_search knn top_k kb_search
    lookup_documents related citations sources evidence facts summary_so_far notifications tweets tickets_now
    status_page market_data telemetry queue_depth observation observations exchange_rate exchange_rates
    fx_rate sensor_reading sensor_readings stock_price share_price spot_price
    """
)
LIVE_CALLS = _words(
    """
    retrieve retrieval recall search query fetch similarity_search vector_search semantic_search weather
    forecast stock price prices news headlines feed inbox sensor metrics memory memories rag knn execute scalar
    scalars urlopen read_url http_get web_search lookup_docs get_context get_documents get_weather
    get_relevant_documents get_memories load_memory remember nearest market ticker relevant live latest
    fetch_json exchange_rate fx_rate status_of current_load queue_depth
    """
)
LIVE_WORDS = _words(
    """
    retrieve retrieved retrieval recall recalled memory memories fetched live latest realtime weather forecast
    headlines news search rag recent
    """
)
# Figures that change by themselves, when a function is asked for them.
CHANGING = _words("price prices rate rates forecast weather")
LIVE_ROOTS = _words(
    """
    memory memories inventory vectorstore vector_store retriever rag db database cursor http requests httpx api
    weather stocks market sensors kb knowledge_base index elastic redis cache
    """
)

# --- Chance.
RANDOM_NAMES = _words(
    """
    random rand randint randrange choice choices sample shuffle shuffled uniform gauss randbytes getrandbits
    urandom lipsum lorem dice coin coin_flip randbelow permutation random_sample pick_random random_choice
    rand_choice sample_one randomize randomise jitter reservoir betavariate normalvariate triangular
    """
)
RANDOM_WORDS = _words("random randomly randomized randomised shuffle shuffled rand")
RANDOM_ROOTS = _words("random secrets faker fake rng")

# --- What belongs to a session, asked from the environment instead of declared.
SESSION_ROOTS = _words("request session cookies headers current_session get_locale current_locale")
USER_ROOTS = _words("user current_user get_user get_current_user customer tenant current_tenant identity principal")

# --- Always the same although a word sounds otherwise.
STABLE_CALLS = _words(
    """
    uuid3 uuid5 fromisoformat fromtimestamp utcfromtimestamp strptime combine fromordinal fromisocalendar
    timedelta timezone tzinfo zoneinfo relativedelta join basename dirname splitext normpath sep linesep
    strptime parse date_parse isoparse
    """
)
STABLE_ROOTS = _words("math json re string itertools functools collections operator textwrap html")
MODULES = _words("datetime date time dt arrow pendulum moment calendar dateutil uuid os random secrets timezone")
"""Names that are a module or a class until something of it is called."""
