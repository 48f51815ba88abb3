"""Dockerfiles, read as Docker reads them."""

import pytest

from batch_engine.local.base.dockerfile import ImageConfig, ImageError, read_dockerfile


def config(tmp_path, text):
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    return read_dockerfile(path)


def test_exec_form_env_and_arguments(tmp_path):
    text = """# comment
ARG VERSION=3.13
FROM python:${VERSION}-slim
ARG LEVEL=info
ENV LOG=$LEVEL MODE="a b" \\
    EMPTY=${NOTHING:-fallback}
ENV OLD form of it
RUN echo hello
ENTRYPOINT ["worker", "--flag"]
CMD ["--help"]
"""
    assert config(tmp_path, text) == ImageConfig(
        ("worker", "--flag"),
        ("--help",),
        {"LOG": "info", "MODE": "a b", "EMPTY": "fallback", "OLD": "form of it"},
    )


def test_last_stage_counts_and_inherits(tmp_path):
    text = """FROM a AS base
ENV A=1
ENTRYPOINT ["base"]
FROM scratch AS builder
ENTRYPOINT ["builder"]
FROM --platform=linux/amd64 base AS final
CMD serve --port 1
"""
    assert config(tmp_path, text) == ImageConfig(("base",), ("/bin/sh", "-c", "serve --port 1"), {"A": "1"})


def test_an_entrypoint_drops_the_command_of_its_base_alone(tmp_path):
    base = 'FROM a AS base\nCMD ["x"]\n'
    assert config(tmp_path, base + 'ENTRYPOINT ["y"]\n').command == ("x",)
    assert config(tmp_path, base + 'FROM base\nENTRYPOINT ["y"]\n').command == ()


def test_unreadable_dockerfiles(tmp_path):
    with pytest.raises(ImageError, match=r"CannotPullContainerError: .*No such file"):
        read_dockerfile(tmp_path / "absent")
    with pytest.raises(ImageError, match="not a JSON array"):
        config(tmp_path, 'FROM a\nENTRYPOINT ["y"\n')


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A:-x}", "1"),
        ("${N:-x}", "x"),
        ("${E:-x}", "x"),
        ("${E-x}", ""),
        ("${A:+x}", "x"),
        ("${N:+x}", ""),
        ("$N", ""),
        ("'$A'", "$A"),
        ('"$A b"', "1 b"),
        (r"\$A", "$A"),
        (r'"\$A \"q\""', '$A "q"'),
        (r"a\ b", "a b"),
        ("a'b'\"c\"", "abc"),
        ("${A}2", "12"),
    ],
)
def test_values_are_expanded_as_docker_does(tmp_path, written, value):
    environment = config(tmp_path, f"FROM a\nENV A=1 E=\nENV X={written}\n").environment
    assert environment["X"] == value


def test_an_assignment_sees_the_values_before_its_instruction(tmp_path):
    environment = config(tmp_path, "FROM a\nENV A=1\nENV A=2 B=$A\n").environment
    assert environment == {"A": "2", "B": "1"}


def test_the_older_form_takes_the_rest_of_the_line(tmp_path):
    assert config(tmp_path, "FROM a\nENV A  b  c=d\n").environment == {"A": "b  c=d"}


def test_an_argument_before_the_first_stage_counts_where_a_stage_declares_it(tmp_path):
    text = "ARG V=1\nFROM a:$V\nENV HIDDEN=$V\nARG V\nENV SEEN=$V\nFROM b\nENV HERE=${V:-none}\n"
    assert config(tmp_path, text).environment == {"HERE": "none"}
    (tmp_path / "Dockerfile").write_text("ARG V=1\nFROM a:$V\nENV HIDDEN=$V\nARG V\nENV SEEN=$V\n")
    assert read_dockerfile(tmp_path / "Dockerfile").environment == {"HIDDEN": "", "SEEN": "1"}
    assert read_dockerfile(tmp_path / "Dockerfile", {"V": "2"}).environment == {"HIDDEN": "", "SEEN": "2"}


def test_a_variable_hides_an_argument(tmp_path):
    assert config(tmp_path, "FROM a\nENV V=env\nARG V=arg\nENV X=$V\n").environment["X"] == "env"


def test_a_continuation_goes_on_after_comments_and_empty_lines(tmp_path):
    text = 'FROM a\nENV A=1 \\\n# a comment\n\n    B=2\nRUN x \\\n  && y\nCMD ["z"]\n'
    assert config(tmp_path, text) == ImageConfig((), ("z",), {"A": "1", "B": "2"})


def test_a_directive_names_another_escape_character(tmp_path):
    text = "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nENV A=1 `\n  B=2\nCMD c:\\\nUSER u\n"
    found = config(tmp_path, text)
    assert (found.environment, found.user) == ({"A": "1", "B": "2"}, "u")
    assert found.command == ("/bin/sh", "-c", "c:\\")


@pytest.mark.parametrize("opening", ["<<EOF", "<<-EOF", "<<'EOF' cat >x", 'sh <<"EOF"'])
def test_the_text_of_a_heredoc_is_no_instruction(tmp_path, opening):
    end = "\tEOF" if "-" in opening else "EOF"
    text = f'FROM a\nRUN {opening}\nCMD ["no"]\nUSER no\n{end}\nCMD ["yes"]\n'
    assert config(tmp_path, text) == ImageConfig((), ("yes",))


def test_two_heredocs_of_one_instruction(tmp_path):
    text = "FROM a\nCOPY <<one <<two /to/\nUSER no\none\nUSER no\ntwo\nUSER yes\n"
    assert config(tmp_path, text).user == "yes"


def test_the_shell_form_runs_under_the_shell_that_is_set(tmp_path):
    assert config(tmp_path, "FROM a\nENTRYPOINT run $X\n").entrypoint == ("/bin/sh", "-c", "run $X")
    text = 'FROM a\nSHELL ["/bin/bash", "-ec"]\nENTRYPOINT run\n'
    assert config(tmp_path, text).entrypoint == ("/bin/bash", "-ec", "run")


@pytest.mark.parametrize(
    ("instructions", "workdir"),
    [
        ("WORKDIR /a", "/a"),
        ("WORKDIR /a\nWORKDIR b", "/a/b"),
        ("WORKDIR b", "/b"),
        ("WORKDIR /a\nWORKDIR ../c/", "/c"),
        ("ENV D=/a\nWORKDIR $D/b", "/a/b"),
        ('WORKDIR "/a b"', "/a b"),
        ("", ""),
    ],
)
def test_working_directories(tmp_path, instructions, workdir):
    assert config(tmp_path, f"FROM a\n{instructions}\n").workdir == workdir


def test_users(tmp_path):
    text = "FROM a AS base\nARG ID=7\nUSER $ID:8\nFROM Base\n"
    assert config(tmp_path, text).user == "7:8", "stages are named without regard to case, and inherited"
