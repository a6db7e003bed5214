"""`.env`, compose.yaml, the settings, and what jeex remembers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jeex_cli.checks.base import Check, Verdict, fail, ok, refused, skipped, unknown, warn
from jeex_cli.checks.repairs import (
    AppendLine,
    FillSettings,
    FinishSwitch,
    RemoveFiles,
    RenameVariables,
    ReplaceSecrets,
    SetMode,
)
from jeex_cli.errors import JeexError, StateError
from jeex_cli.settings import SECRETS

_GROUP = "configuration"
_WELL_KNOWN = ("jeex-development-only", "password", "postgres", "secret", "changeme", "admin", "redis", "vault", "jeex")
_SHORT = 16  # characters; below that a secret can be guessed
_CLOSE = 0.8  # how alike a name must be to count as misspelt, of 1

Git = Literal["none", "ignored", "open", "tracked", "unknown"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the project's files say. `written` are the variables of `.env`; errors are None where a file can be read.

    `given` are the names of JEEX_ variables in the environment, `known` all that mean something. `used` tells whether the
    stack has been started here; `replaceable` are the secrets that no data was made with. `git`: whether .env would be
    committed (`open`: not yet, but nothing keeps it out). `copies` are other checkouts with the same name or instance.
    """

    env_file: Path
    env_mode: int | None
    env_error: JeexError | None
    compose_error: JeexError | None
    state_error: JeexError | None
    settings_error: JeexError | None
    state_file: Path
    written: Mapping[str, str] = field(repr=False)
    given: frozenset[str]
    known: frozenset[str]
    used: bool
    replaceable: frozenset[str]
    git: Git
    git_top: Path | None
    broken_switch: bool
    copies: tuple[Path, ...]


def env_syntax(facts: Configuration) -> Verdict:
    if facts.env_error is not None:
        return refused(facts.env_error)
    return ok(
        f"{facts.env_file.name} can be read" if facts.env_mode is not None else "there is no .env yet: `jeex up` makes it"
    )


def env_complete(facts: Configuration) -> Verdict:
    if facts.env_error is not None:
        return unknown(facts.env_error.message)
    missing = [name for name in SECRETS if not facts.written.get(name) and name not in facts.given]
    if not missing:
        return ok(f"all {len(SECRETS)} secrets are set")
    if not facts.used:
        return ok("`jeex up` will make the secrets that are not set yet")
    return fail(
        f"{facts.env_file.name} lacks {len(missing)} of the secrets that the stack runs with",
        missing,
        fix="put the old .env back; where there is no data yet: jeex doctor --fix",
        repair=FillSettings() if set(missing) <= facts.replaceable else None,
        code="SECRETS_MISSING",
    )


def env_weak(facts: Configuration) -> Verdict:
    if facts.env_error is not None:
        return unknown(facts.env_error.message)
    weak = {name: why for name in SECRETS if (why := _weakness(facts.written.get(name, "")))}
    if not weak:
        return ok("every secret in .env is long and random") if facts.written else ok("no secret is written down yet")
    replaceable = tuple(name for name in weak if name in facts.replaceable)
    rest = [name for name in weak if name not in facts.replaceable]
    return warn(
        "secrets in .env are easy to guess",
        [f"{name}: {why}" for name, why in weak.items()],
        fix="jeex doctor --fix"
        if not rest
        else f"data was made with {', '.join(rest)}: jeex down --delete-data, empty them in .env, jeex up",
        repair=ReplaceSecrets(facts.env_file, replaceable) if replaceable else None,
    )


def _weakness(text: str) -> str:
    if not text:
        return ""
    if text.lower() in _WELL_KNOWN:
        return "a word that everybody knows"
    if len(set(text)) < 6:
        return f"only {len(set(text))} different characters"
    return f"only {len(text)} characters" if len(text) < _SHORT else ""


def env_unknown(facts: Configuration) -> Verdict:
    if facts.env_error is not None:
        return unknown(facts.env_error.message)
    if facts.compose_error is not None:
        return unknown("compose.yaml, which names the variables, cannot be read")
    wrong = {name: _meant(name, facts.known) for name in sorted({*facts.written, *facts.given}) if name not in facts.known}
    # What does not begin with JEEX_ is somebody else's, unless it looks very much like one of ours.
    wrong = {name: meant for name, meant in wrong.items() if name.startswith("JEEX_") or meant}
    if not wrong:
        return ok("every JEEX_ variable is one that jeex knows")
    renames = tuple(
        (name, meant)
        for name, meant in wrong.items()
        if meant and name in facts.written and meant not in facts.written and name not in facts.given
    )
    here = {name: "the environment" if name in facts.given else facts.env_file.name for name in wrong}
    return warn(
        f"{', '.join(wrong)}: no variable of jeex's, so without effect",
        [f"{name} in {here[name]}" + (f"; did you mean {meant}?" if meant else "") for name, meant in wrong.items()],
        fix="correct the name, or take it out; jeex config show lists those that there are",
        repair=RenameVariables(facts.env_file, renames) if renames else None,
    )


def _meant(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_CLOSE)
    return close[0] if close else ""


def env_mode(facts: Configuration) -> Verdict:
    if facts.env_mode is None:
        return skipped("there is no .env yet")
    if facts.env_mode & 0o077:
        return fail(
            f"other users of this machine can read the secrets in {facts.env_file.name} (mode {facts.env_mode:04o})",
            fix=f"chmod 0600 '{facts.env_file}'",
            repair=SetMode(((facts.env_file, 0o600),)),
        )
    return ok(".env is for its owner alone")


def env_git(facts: Configuration) -> Verdict:
    match facts.git:
        case "none":
            return ok("the project is in no git repository")
        case "ignored":
            return ok("git leaves .env alone")
        case "tracked":
            return fail(
                "git has .env, and with it every secret in it",
                fix="git rm --cached .env, commit, and make the secrets anew: whoever has the repository has them",
            )
        case "open":
            top = facts.git_top or facts.env_file.parent
            return warn(
                "git would commit .env with the next `git add`",
                fix=f"echo .env >> '{top / '.gitignore'}'",
                repair=AppendLine(top / ".gitignore", ".env"),
            )
        case "unknown":
            return unknown("there is a git repository, but no git", fix="install git")


def compose_file(facts: Configuration) -> Verdict:
    return refused(facts.compose_error) if facts.compose_error is not None else ok("compose.yaml describes a stack")


def state_file(facts: Configuration) -> Verdict:
    if facts.state_error is not None:
        mine = isinstance(facts.state_error, StateError)  # else it may hold what is true, and cannot be read
        return refused(facts.state_error, RemoveFiles((facts.state_file,)) if mine else None)
    return ok("what jeex remembers can be read")


def settings(facts: Configuration) -> Verdict:
    if facts.settings_error is not None:
        return refused(facts.settings_error)
    return ok("every setting has a value that can be used")


def switch_unfinished(facts: Configuration) -> Verdict:
    if facts.broken_switch:
        return fail(
            "a switch of runtimes was broken off; what it had copied is still there",
            fix="jeex up clears it away, and goes on with the runtime before",
            repair=FinishSwitch(),
        )
    return ok("no switch of runtimes was broken off")


def project_copied(facts: Configuration) -> Verdict:
    if not facts.copies:
        return ok("no other checkout has this one's name")
    return fail(
        f"{facts.copies[0]} has the same JEEX_PROJECT or JEEX_INSTANCE: in Docker the two are one stack",
        map(str, facts.copies),
        fix=f"jeex down in one of the two; there in {facts.env_file.name} another JEEX_PROJECT, JEEX_INSTANCE empty",
    )


def _check(id: str, title: str, explanation: str, judge: object) -> Check:
    return Check(id, _GROUP, title, explanation, Configuration, judge)  # type: ignore[arg-type]


CHECKS = (
    _check(
        "env-syntax",
        ".env can be read",
        "Parses .env by the grammar that Docker Compose has. A line that is no assignment, or a quote that "
        "nothing closes, stops every command; the finding names the line.",
        env_syntax,
    ),
    _check(
        "env-complete",
        ".env has every secret",
        "Each server has a secret of its own, made by the first `jeex up`. Where one is gone the data that was "
        "made with it cannot be opened, so new ones are made only where there is no data.",
        env_complete,
    ),
    _check(
        "env-weak",
        "secrets are long and random",
        "A secret that is short, has few different characters or is a word that everybody tries opens the stack "
        "to any program that can reach its ports. Empty it in .env and `jeex up` makes a random one; secrets that "
        "data was made with stay.",
        env_weak,
    ),
    _check(
        "env-unknown",
        "no variable is misspelt",
        "A JEEX_ variable that jeex does not know has no effect, which is rarely what its writer meant. Looks at "
        ".env and at the environment, and says what was probably meant.",
        env_unknown,
    ),
    _check(
        "env-mode",
        "only its owner can read .env",
        ".env holds every password of the stack. `jeex up` makes it with mode 0600; an editor or a copy may change that.",
        env_mode,
    ),
    _check(
        "env-git",
        "git leaves .env alone",
        "A committed .env gives its secrets to everybody who ever gets the repository, even after it is deleted "
        "again. A line in .gitignore keeps it out.",
        env_git,
    ),
    _check(
        "compose-file",
        "compose.yaml describes a stack",
        "Reads compose.yaml with this project's variables as `jeex up` and Docker Compose do; the finding names the line.",
        compose_file,
    ),
    _check(
        "state-file",
        "what jeex remembers can be read",
        ".jeex/state.json holds the runtime and the ports of this project, no data. Where something else has "
        "written to it, it can be deleted.",
        state_file,
    ),
    _check(
        "settings",
        "every setting can be used",
        "Merges the command line, the environment, what is remembered, .env and the defaults, and looks at each value.",
        settings,
    ),
    _check(
        "switch-unfinished",
        "no switch of runtimes was broken off",
        "`jeex runtime switch --carry-data` keeps a record until it is done. A killed one leaves copies in the "
        "other runtime; the data that they were made of is not touched.",
        switch_unfinished,
    ),
    _check(
        "project-copied",
        "no other checkout has this one's name",
        "A folder that was copied with its .env is taken for the first one: with Docker both have the same "
        "containers and volumes, and a server of the one cannot be told from one of the other.",
        project_copied,
    ),
)
