"""What the review team's offline script can report: one rule for each kind of mistake that it knows.

Data only. Titles name the consequence, as the prompts ask of a model; explanations say what was not looked at.
How a rule is found in a file is `review_checks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["correctness", "security", "performance", "tests"]
Severity = Literal["critical", "high", "medium", "low"]

LONG_FUNCTION_LINES = 80


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


UNPARSED = _rule(
    "correctness", "medium", "The file is not valid Python here",
    "The parser of the Python that runs this script stops at this line: the file cannot be imported by that version.",
    "Correct the syntax, or ignore this when the file is a template or needs another version.",
)  # fmt: skip
BARE_EXCEPT = _rule(
    "correctness", "high", "Every error is caught, interruption included",
    "`except:` without a class also catches `KeyboardInterrupt` and `SystemExit`, and nothing is raised again.",
    "Name the exceptions that are expected here and let the others pass.",
)  # fmt: skip
SILENT_EXCEPT = _rule(
    "correctness", "medium", "Errors vanish without a trace",
    "The handler takes any exception and does nothing, so callers go on as if the work had been done.",
    "Catch the one expected exception, or report the error before going on.",
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
BLOCKING = _rule(
    "performance", "high", "A blocking call stops the event loop",
    "While this call waits, nothing else of the program runs.",
    "Use the asynchronous counterpart, or `asyncio.to_thread`.",
)  # fmt: skip
SELECT_STAR = _rule(
    "performance", "low", "All columns are loaded",
    "`SELECT *` transfers every column, those added later too.",
    "Name the columns that are used.",
)  # fmt: skip
LONG_FUNCTION = _rule(
    "tests", "low", "Tests can reach a very long function only as a whole",
    f"The function is longer than {LONG_FUNCTION_LINES} lines, so its cases cannot be exercised one by one.",
    "Split it along its steps, and test the steps.",
)  # fmt: skip
EMPTY_TEST = _rule(
    "tests", "medium", "A test cannot fail on purpose",
    "No assertion, `raises` or call named like a check stands in this test; it fails only when something crashes.",
    "Assert the result that the test is named after.",
)  # fmt: skip
SLEEPING_TEST = _rule(
    "tests", "low", "A test waits for real time",
    "A sleep makes the test slow, and fail on a slower machine.",
    "Wait for the event, or give the code a clock.",
)  # fmt: skip
