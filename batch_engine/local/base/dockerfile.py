"""Reads the parts of a Dockerfile that a process needs: ENTRYPOINT, CMD, ENV, WORKDIR and USER.

The process runtime starts no container, so it asks no container engine: it reads the Dockerfile itself.
https://docs.docker.com/reference/dockerfile/
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*")
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(?P<tabs>-?)(?P<quote>['\"]?)(?P<end>[A-Za-z_]\w*)(?P=quote)(?=\s|$)")
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")
_VARIABLE = r"\$(?:\{(?P<braced>\w+)(?:(?P<operator>:?[-+])(?P<operand>[^}]*))?\}|(?P<bare>[A-Za-z_]\w*))"
_TOKEN = re.compile(
    rf"""'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|\\(?P<escaped>.)|(?P<space>\s+)|{_VARIABLE}|.""",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(rf"""\\(?P<escaped>["\\$])|{_VARIABLE}|.""", re.DOTALL)
_SHELL = ("/bin/sh", "-c")


class ImageError(Exception):
    """An image cannot be used; the text says why, in the form of an ECS ``reason``."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The configuration of an image, as its Dockerfile writes it.

    Args:
        entrypoint: the program and its first arguments.
        command: the arguments of a job that gives none.
        environment: the variables of ENV.
        workdir: the absolute path of WORKDIR; empty if there is none.
        user: the value of USER, such as ``10001:10001``; empty if there is none.
    """

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""


@dataclass(slots=True)
class _Stage:
    """A build stage, while it is read."""

    name: str = ""
    config: ImageConfig = field(default_factory=ImageConfig)
    arguments: dict[str, str] = field(default_factory=dict)
    shell: tuple[str, ...] = _SHELL
    has_own_command: bool = False

    def apply(self, keyword: str, rest: str) -> None:
        """Applies an instruction to the configuration; ignores those that a process does not need."""
        config = self.config
        scope = {**self.arguments, **config.environment}
        match keyword:
            case "ENV":
                self.config = replace(config, environment={**config.environment, **_assignments(rest, scope)})
            case "ENTRYPOINT":
                # An entry point drops the command of the base image, but not one of its own stage.
                command = config.command if self.has_own_command else ()
                self.config = replace(config, entrypoint=_words_of(rest, self.shell), command=command)
            case "CMD":
                self.config = replace(config, command=_words_of(rest, self.shell))
                self.has_own_command = True
            case "SHELL":
                self.shell = _words_of(rest, self.shell)
            case "WORKDIR":
                path = posixpath.join("/", config.workdir, _expanded(rest, scope))
                self.config = replace(config, workdir=posixpath.normpath(path))
            case "USER":
                self.config = replace(config, user=_expanded(rest, scope))


def read_dockerfile(
    path: Path, build_arguments: Mapping[str, str] | None = None, target: str | None = None
) -> ImageConfig:
    """Returns the configuration of a Dockerfile's last stage, or of the stage that is asked for.

    Args:
        path: the Dockerfile.
        build_arguments: values of its ARGs.
        target: the name of a stage.

    Raises:
        ImageError: the file does not exist or cannot be understood.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ImageError(f"CannotPullContainerError: {path}: {error.strerror}") from error
    given = build_arguments or {}
    before_first_stage: dict[str, str] = {}
    stages: dict[str, _Stage] = {}
    stage: _Stage | None = None
    for keyword, rest in _instructions(text):
        if keyword == "FROM":
            if stage is not None and target is not None and stage.name == target.lower():
                break
            stage = _new_stage(_expanded(rest, before_first_stage), stages)
            stages[stage.name] = stage
        elif keyword == "ARG":
            arguments = before_first_stage if stage is None else stage.arguments
            scope = {**arguments, **(stage.config.environment if stage else {})}
            for name, default in _arguments(rest, scope).items():
                inherited = before_first_stage.get(name, "") if default is None else default
                arguments[name] = given.get(name, inherited)
        elif stage is not None:
            stage.apply(keyword, rest)
    return stage.config if stage else ImageConfig()


def _new_stage(rest: str, stages: Mapping[str, _Stage]) -> _Stage:
    """Returns the stage of a FROM; if it names an earlier stage, it starts with that one's configuration."""
    base, *more = [word for word in rest.split() if not word.startswith("--")]
    name = more[1].lower() if len(more) == 2 and more[0].upper() == "AS" else ""
    inherited = stages.get(base.lower(), _Stage())
    return _Stage(name, inherited.config, shell=inherited.shell)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yields the keyword and the rest of each instruction, without comments, line breaks and heredocs."""
    lines = iter(text.splitlines())
    escape = _escape_character(text)
    begun = ""
    for line in lines:
        # Comments and empty lines do not end an instruction that goes on in the next line.
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun += line.rstrip()
        if begun.endswith(escape):
            begun = begun[:-1]
            continue
        keyword, _, rest = begun.strip().partition(" ")
        begun = ""
        yield keyword.upper(), rest.strip()
        if keyword.upper() in _WITH_HEREDOCS:
            for heredoc in _HEREDOC.finditer(rest):
                _skip_heredoc(lines, heredoc["end"], with_tabs=bool(heredoc["tabs"]))


def _escape_character(text: str) -> str:
    """Returns the character that continues a line: a backslash, or the one that a directive names."""
    for line in text.splitlines():
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "escape":
            return directive[2]
    return "\\"


def _skip_heredoc(lines: Iterator[str], end: str, *, with_tabs: bool) -> None:
    for line in lines:
        if (line.lstrip("\t") if with_tabs else line) == end:
            return


def _words_of(rest: str, shell: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the words of the exec form, ``["a", "b"]``, or the command of the shell form."""
    if not rest.startswith("["):
        return (*shell, rest)
    try:
        words = json.loads(rest)
    except json.JSONDecodeError as error:
        raise ImageError(f"CannotPullContainerError: not a JSON array: {rest}") from error
    return tuple(str(word) for word in words)


def _assignments(rest: str, scope: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of an ENV, ``NAME=value ...`` or the older ``NAME value``."""
    if "=" not in rest.split(None, 1)[0]:
        name, _, value = rest.partition(" ")
        return {name: _expanded(value.strip(), scope)}
    words = (word.partition("=") for word in _words(rest, scope))
    return {name: value for name, _, value in words}


def _arguments(rest: str, scope: Mapping[str, str]) -> dict[str, str | None]:
    """Returns the names of an ARG with their defaults; None for a name without one."""
    words = (word.partition("=") for word in _words(rest, scope))
    return {name: value if equals else None for name, equals, value in words}


def _expanded(text: str, scope: Mapping[str, str]) -> str:
    """Returns a text with its variables expanded and its quotes removed."""
    return "".join(piece for piece, _ in _pieces(text, scope))


def _words(text: str, scope: Mapping[str, str]) -> list[str]:
    """Splits a text at its spaces, except quoted ones, and expands its variables."""
    words: list[str] = []
    is_between = True
    for piece, is_space in _pieces(text, scope):
        if not is_space and is_between:
            words.append(piece)
        elif not is_space:
            words[-1] += piece
        is_between = is_space
    return words


def _pieces(text: str, scope: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Yields the tokens of a text, expanded, and whether each is an unquoted space."""
    for token in _TOKEN.finditer(text):
        if token["double"] is not None:
            yield "".join(_value(inner, scope) for inner in _IN_DOUBLE.finditer(token["double"])), False
        elif token["single"] is not None:
            # Nothing is expanded within single quotes.
            yield token["single"], False
        else:
            yield _value(token, scope), token["space"] is not None


def _value(token: re.Match[str], scope: Mapping[str, str]) -> str:
    """Returns the text that a token stands for: an escaped character, a variable's value, or itself."""
    if token["escaped"]:
        return token["escaped"]
    name = token["braced"] or token["bare"]
    if name is None:
        return token[0]
    value = scope.get(name)
    operator, operand = token["operator"] or "", token["operand"] or ""
    # With a colon an empty value counts as none.
    is_set = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return operand if is_set else ""
    return value or "" if is_set or not operator else operand
