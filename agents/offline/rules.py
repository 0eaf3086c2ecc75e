"""What the review team's offline script can report: one rule for each kind of mistake that it knows.

Data only. Titles name the consequence, as the prompts ask of a model; explanations say what was not looked at.
How a rule is found in a file is decided in `checks.py` and the modules that are named after the reviewers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["correctness", "security", "performance", "tests"]
Severity = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one check reports; `title` names the consequence."""

    role: Role
    severity: Severity
    title: str
    explanation: str
    suggestion: str


def _rule(role: Role, severity: Severity, title: str, explanation: str, suggestion: str) -> Rule:
    return Rule(role=role, severity=severity, title=title, explanation=explanation, suggestion=suggestion)


# Correctness

UNPARSED = _rule(
    "correctness", "medium", "The file is not valid Python here",
    "The parser of the Python that runs this script stops at this line: the file cannot be imported by that version.",
    "Correct the syntax, or ignore this when the file is a template or needs another version.",
)  # fmt: skip
EVERYTHING_CAUGHT = _rule(
    "correctness", "high", "Every error is caught, interruption included",
    "The handler also catches `KeyboardInterrupt` and `SystemExit`, raises nothing and does not use what it caught.",
    "Name the exceptions that are expected here and let the others pass.",
)  # fmt: skip
SILENT_EXCEPT = _rule(
    "correctness", "medium", "Errors vanish without a trace",
    "Any exception is taken and nothing is done about it, so callers go on as if the work had been done.",
    "Catch the one expected exception, or report the error before going on.",
)  # fmt: skip
FORGOTTEN_ERROR = _rule(
    "correctness", "medium", "A failure of any kind looks like an ordinary result",
    "The handler takes any exception, raises nothing, does not use what it caught, and no comment says why.",
    "Catch the one expected exception, or hand the error on with the result.",
)  # fmt: skip
CANCELLATION_KEPT = _rule(
    "correctness", "low", "A cancelled task goes on as if nothing had happened",
    "The handler ends without raising the cancellation again, so whoever cancelled cannot stop what follows. Whether "
    "the caller is told in another way was not followed.",
    "Clean up and `raise`, or say in a comment who is told instead.",
)  # fmt: skip
MUTABLE_DEFAULT = _rule(
    "correctness", "medium", "Calls share one mutable default value",
    "The default is made once; what one call puts into it is there in the next call.",
    "Use `None` as the default and make the value inside the function.",
)  # fmt: skip
EQUALS_NONE = _rule(
    "correctness", "low", "None is compared by equality",
    "`== None` asks the other object, which may answer anything (arrays answer element by element).",
    "Use `is None` or `is not None`.",
)  # fmt: skip
ASSERT = _rule(
    "correctness", "low", "A check disappears under python -O",
    "`assert` outside tests is removed when optimisation is on, and with it this check.",
    "Raise an exception when the condition must hold in production.",
)  # fmt: skip
CHANGED_IN_LOOP = _rule(
    "correctness", "high", "A list changes while a loop walks it",
    "Removing or inserting during the walk makes the loop skip or repeat elements.",
    "Walk over a copy, or build a new list.",
)  # fmt: skip
UNFINISHED = _rule(
    "correctness", "low", "Unfinished work is marked in the code",
    "A marker (`TODO`, `FIXME`, `XXX`, `HACK`) says that something is missing here.",
    "Do it, or open an issue and name it here.",
)  # fmt: skip
EMPTY_CATCH = _rule(
    "correctness", "medium", "Errors vanish in an empty catch block",
    "The handler is empty, so callers go on as if the work had been done.",
    "Handle the expected error, or let it pass.",
)  # fmt: skip
UNCHECKED_TYPE = _rule(
    "correctness", "low", "A type is claimed that nothing checks",
    "`cast` and `type: ignore` do nothing at run time: if the claim is wrong, the mistake shows elsewhere. No comment "
    "says why it holds.",
    "Check the value (`isinstance`), or say in a comment what makes the claim true.",
)  # fmt: skip
FLOAT_MONEY = _rule(
    "correctness", "medium", "Sums of money drift by rounding",
    "By its name this is an amount of money, and `float` cannot hold most decimal fractions.",
    "Use `Decimal`, or whole cents as `int`.",
)  # fmt: skip
NAIVE_TIME = _rule(
    "correctness", "medium", "A time without a zone is an hour off after clock changes",
    "The value does not say which zone it is in; comparing or storing it mixes local time and UTC.",
    "Use `datetime.now(UTC)`.",
)  # fmt: skip
WALL_CLOCK = _rule(
    "correctness", "low", "A corrected clock makes a duration wrong",
    "The difference of two readings of `time.time()` also holds what the system clock was set by in between.",
    "Measure with `time.monotonic()`; keep `time.time()` for moments.",
)  # fmt: skip
NO_ENCODING = _rule(
    "correctness", "low", "Text is read differently on another machine",
    "Without `encoding` the machine's locale decides how bytes become text.",
    'Pass `encoding="utf-8"`.',
)  # fmt: skip
LOST_TASK = _rule(
    "correctness", "medium", "A task can vanish before it is done",
    "Nobody keeps the task: the event loop holds it weakly, and its error reaches nobody.",
    "Keep it and await it, or start it in an `asyncio.TaskGroup`.",
)  # fmt: skip
LOST_ERRORS = _rule(
    "correctness", "low", "Errors of the tasks awaited here reach nobody",
    "`return_exceptions=True` turns errors into results, and these results are dropped. Whether the tasks report "
    "their errors elsewhere was not followed.",
    "Look through the results and raise or log what is an exception, or say in a comment who has seen it.",
)  # fmt: skip
MANY_PARAMETERS = _rule(
    "correctness", "low", "Arguments of a call can change places unnoticed",
    "Many arguments by position are easily given in another order, and values of one type pass every checker.",
    "Make all but the first one or two keyword-only, or group them in a type.",
)  # fmt: skip
DEEP_BLOCKS = _rule(
    "correctness", "low", "What must hold to reach this line is hard to see",
    "Each block around the line is one more condition that a change has to keep in mind.",
    "Return early for the small cases, or move the inner blocks into a function.",
)  # fmt: skip

# Security

EVAL = _rule(
    "security", "high", "Text is run as code",
    "The argument is no constant; whoever can influence it runs code. Where it comes from was not followed.",
    "Parse the value (`ast.literal_eval`, `json.loads`) or look the operation up in a table.",
)  # fmt: skip
SHELL = _rule(
    "security", "high", "A command goes through a shell",
    "Text that is put into the command is read by the shell. Where it comes from was not followed.",
    "Pass a list of arguments without a shell.",
)  # fmt: skip
PICKLE = _rule(
    "security", "high", "Loading data can run code",
    "This deserialiser runs code that the data names. Where the data comes from was not followed.",
    "Use JSON or a safe loader, unless the data never leaves this program's control.",
)  # fmt: skip
SQL_TEXT = _rule(
    "security", "high", "Values become part of an SQL command",
    "The command is put together from text, so a value can end it and begin another. Where the values come from was "
    "not followed.",
    "Pass values as parameters; take names of tables and columns from a fixed list.",
)  # fmt: skip
DYNAMIC_IMPORT = _rule(
    "security", "low", "A name chosen at run time decides which code runs",
    "Importing a module runs it. Who can choose the name was not followed; if it is anyone but the user who starts "
    "the program, this is critical.",
    "Look the name up in a table of allowed modules, or say in the documentation that the name must be trusted.",
)  # fmt: skip
DEBUG_SERVER = _rule(
    "security", "medium", "Visitors of an error page may run code",
    "Debug mode of web frameworks serves a console or internals with each error. Whether this ships was not followed.",
    "Leave debug mode to the developer's own settings.",
)  # fmt: skip
UNVERIFIED = _rule(
    "security", "high", "TLS certificates are not verified",
    "Anyone between the two ends can read and change what is sent.",
    "Leave verification on; add the certificate of a private authority to the trust store.",
)  # fmt: skip
MKTEMP = _rule(
    "security", "medium", "A temporary name can be taken by someone else",
    "Between choosing the name and opening the file another process can create it.",
    "Use `tempfile.NamedTemporaryFile` or `mkstemp`.",
)  # fmt: skip
SHARED_DIRECTORY = _rule(
    "security", "low", "Another account can prepare a file at a known place",
    "The path lies in a directory that every account of the machine may write to. Its use was not followed.",
    "Use `tempfile.TemporaryDirectory`, or a directory of the user's own.",
)  # fmt: skip
WEAK_HASH = _rule(
    "security", "low", "Two different texts can be made to have this digest",
    "MD5 and SHA-1 are broken where someone wants a collision. What the digest is used for was not followed.",
    "Use SHA-256 or BLAKE2, or pass `usedforsecurity=False`.",
)  # fmt: skip
GUESSABLE = _rule(
    "security", "medium", "A secret value can be guessed",
    "By its name this is a secret, and the numbers of `random` can be computed from a few of them.",
    "Use the `secrets` module.",
)  # fmt: skip
OPEN_BIND = _rule(
    "security", "medium", "Every machine on the network can connect",
    "The address stands for all interfaces of the machine. What guards the port was not followed.",
    "Listen on 127.0.0.1 by default, and let the operator choose more.",
)  # fmt: skip
UNBOUNDED_BODY = _rule(
    "security", "low", "One large request can fill the memory",
    "The whole body is read before anything looks at its size. Whether a proxy limits it was not followed.",
    "Read the body in chunks and refuse what is over a bound.",
)  # fmt: skip
UNPACKED = _rule(
    "security", "medium", "An archive can write outside its directory",
    "Names in the archive may begin with `/` or hold `..`; only recent versions of Python refuse them by default.",
    'Pass `filter="data"`.',
)  # fmt: skip
UNESCAPED_TEMPLATE = _rule(
    "security", "low", "Templates put values into a page as they are",
    "Jinja escapes nothing unless told to. If the result is ever shown as HTML, a value can run in a browser.",
    "Pass `autoescape=True`, or say in a comment that the result is never HTML.",
)  # fmt: skip
ASSEMBLED_PATTERN = _rule(
    "security", "low", "Characters in a value change what a pattern matches",
    "The value is put into a regular expression without `re.escape`. Where it comes from was not followed.",
    "Escape it, or say in a comment that it is a pattern by intent.",
)  # fmt: skip
SECRET = _rule(
    "security", "high", "A credential seems to stand in the source",
    "The line assigns a literal to a name that usually holds a secret. Everyone with the source has it.",
    "Read it from the environment or a secret store; revoke it if it was ever real: the history keeps it.",
)  # fmt: skip
PRIVATE_KEY = _rule(
    "security", "critical", "A private key stands in the source",
    "The line begins a private key, or holds a token in a form that only real ones have.",
    "Remove it, revoke it, and keep keys outside the repository.",
)  # fmt: skip
OPEN_MODE = _rule(
    "security", "medium", "Everyone on the machine may write here",
    "The mode 777 lets any account change the file.",
    "Give the narrowest mode that works.",
)  # fmt: skip
PIPED_SCRIPT = _rule(
    "security", "medium", "A downloaded script is run unseen",
    "What the address serves at that moment runs with the rights of this script.",
    "Download, compare a digest, then run.",
)  # fmt: skip
RAW_HTML = _rule(
    "security", "medium", "Text becomes HTML without escaping",
    "If the value holds something that a user wrote, it runs in other users' browsers. Its source was not followed.",
    "Set text content, or escape the value.",
)  # fmt: skip

# Performance

NESTED_LOOP = _rule(
    "performance", "medium", "A loop walks the same list again for each element",
    "The inner loop walks the collection of the outer one: the work grows with its square.",
    "Build a dictionary or a set before the loop and look up in it.",
)  # fmt: skip
SEARCHED_IN_LOOP = _rule(
    "performance", "medium", "A list is searched for each of its elements",
    "`index` and `count` walk the list, once for each element of the loop: the work grows with its square.",
    "Use `enumerate` for positions and `collections.Counter` for counts.",
)  # fmt: skip
LIST_SEARCHED = _rule(
    "performance", "low", "Each turn of a loop searches a whole list",
    "`in` walks the list, once for each turn: the work grows with the product of both. How long the list gets was "
    "not followed; with user data this is medium.",
    "Keep a set beside the list, or a dictionary when the order matters.",
)  # fmt: skip
SCANNED_IN_LOOP = _rule(
    "performance", "low", "Each turn of a loop scans another collection for its partner",
    "The inner one is walked to its end in every turn: the work grows with the product of both. How long they get was "
    "not followed; with user data this is medium.",
    "Build a dictionary by that key before the loop and look up in it.",
)  # fmt: skip
COPIED_IN_LOOP = _rule(
    "performance", "low", "Each turn of a loop copies what was built so far",
    "The work grows with the square of the number of turns.",
    'Append to one list and join or convert it after the loop (`"".join(parts)`).',
)  # fmt: skip
FRONT_OF_LIST = _rule(
    "performance", "low", "Taking from the front moves every other element",
    "A list closes the gap each time, so a loop that empties it from the front does work that grows with the square.",
    "Use `collections.deque` and `popleft`, or walk the list by index.",
)  # fmt: skip
PATTERN_IN_LOOP = _rule(
    "performance", "low", "A pattern is compiled in every turn of a loop",
    "Compiling costs more than most matches; the module's own cache of patterns is small and shared.",
    "Compile before the loop.",
)  # fmt: skip
QUERY_IN_LOOP = _rule(
    "performance", "medium", "One query for each element of a loop",
    "N elements cost N round trips to the database. How many there are was not followed.",
    "Ask once for all of them (`IN`, a join, `executemany`).",
)  # fmt: skip
WAITS_IN_A_ROW = _rule(
    "performance", "low", "Waits that do not need each other stand in a row",
    "Each await begins when the one before is done, so their times add up. Whether the other end wants them one by "
    "one was not followed.",
    "Start them together (`asyncio.gather`, a `TaskGroup`) with a bound on how many.",
)  # fmt: skip
BLOCKING = _rule(
    "performance", "high", "A blocking call stops the event loop",
    "While this call waits, nothing else of the program runs.",
    "Use the asynchronous counterpart, or `asyncio.to_thread`.",
)  # fmt: skip
BLOCKING_FILE = _rule(
    "performance", "low", "The event loop waits for a file",
    "While the file is read or written, nothing else of the program runs; on a slow or remote disk that is long.",
    "Use `asyncio.to_thread`.",
)  # fmt: skip
NO_TIMEOUT = _rule(
    "performance", "medium", "A silent server stops the program for ever",
    "The call has no timeout, and its library sets none.",
    "Pass `timeout` with a number of seconds.",
)  # fmt: skip
UNBOUNDED_CACHE = _rule(
    "performance", "low", "A cache keeps every result for the life of the process",
    "One entry for each different argument is kept and nothing removes any. How many there can be was not followed.",
    "Give it a bound (`lru_cache(maxsize=...)`), or say in a comment why the arguments are few.",
)  # fmt: skip
SELECT_STAR = _rule(
    "performance", "low", "All columns are loaded",
    "`SELECT *` transfers every column, those added later too.",
    "Name the columns that are used.",
)  # fmt: skip

# Tests

HEAVY_FUNCTION = _rule(
    "tests", "low", "Tests can reach a very large function only as a whole",
    "So many lines or branches in one function cannot be exercised one by one.",
    "Split it along its steps, and test the steps.",
)  # fmt: skip
EMPTY_TEST = _rule(
    "tests", "medium", "A test cannot fail on purpose",
    "No assertion, `raises` or call named like a check stands in this test; it fails only when something crashes.",
    "Assert the result that the test is named after.",
)  # fmt: skip
SKIPPED_TEST = _rule(
    "tests", "low", "A test is switched off and nothing says why",
    "Nobody can tell when it may be switched on again.",
    "Give the reason, or delete the test.",
)  # fmt: skip
ANY_ERROR_PASSES = _rule(
    "tests", "low", "A test passes whatever the error is",
    "`raises(Exception)` without `match` also accepts a misspelt name in the test itself.",
    "Name the class that is expected, and match its message.",
)  # fmt: skip
SLEEPING_TEST = _rule(
    "tests", "low", "A test waits for real time",
    "A sleep makes the test slow, and fail on a slower machine.",
    "Wait for the event, or give the code a clock.",
)  # fmt: skip
UNNAMED_MODULE = _rule(
    "tests", "medium", "No test names this module",
    "No file of tests is named after the module or contains its name, so nothing would notice when it breaks.",
    "Begin with the function that has the most branches: one ordinary case, one that must fail.",
)  # fmt: skip
NO_TESTS = _rule(
    "tests", "low", "The directory holds no tests",
    "None of the listed files is named like a test or stands in a directory of tests. If none exist elsewhere, "
    "nothing notices when this code breaks.",
    "Review the directory that holds code and tests together, or begin with the functions that are named here.",
)  # fmt: skip
UNTESTED_CASES = _rule(
    "tests", "low", "No test in sight exercises the functions with most cases",
    "Of the public functions that were read these decide and refuse most often (branches and `raise` statements, "
    "counted in the function itself). The listing holds no tests; if there are none elsewhere, this is medium.",
    "Begin here: one test for each branch, one for each error.",
)  # fmt: skip
