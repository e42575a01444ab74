"""Terminal output: aligned whatever the letters, coloured only on a terminal, deaf to escapes in names."""

import click
import pytest
from click.testing import CliRunner

from command.command import Outcome, stage_command
from command.terminal import align, colour_verdict, escape, find_width


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    text = align(("class", "labels", "note"), [("猫", "7", "x"), ("guinea pig", "1,234", "y")])
    assert text.splitlines() == ["class       labels  note", "猫               7  x", "guinea pig   1,234  y"]


def test_a_coloured_verdict_takes_the_room_of_its_word():
    plain = click.unstyle(align(("gate", "verdict", "n"), [("accuracy", "pass", "1"), ("drift", "cannot tell", "2")]))
    assert plain.splitlines()[1:] == ["accuracy  pass         1", "drift     cannot tell  2"]
    assert colour_verdict("fail") != "fail" and colour_verdict("failing") == "failing"


def test_names_cannot_move_the_cursor():
    assert "\x1b" not in align(("label",), [("\x1b[2J\x07evil",)])
    assert escape("a\nb") == "a\\nb"


def test_colours_only_on_a_terminal(monkeypatch):
    command = stage_command("x")(lambda settings: Outcome(text=f"so: {colour_verdict('fail')}"))
    assert CliRunner().invoke(command).output == "so: fail\n"
    assert "\x1b[31m" in CliRunner().invoke(command, color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    assert CliRunner().invoke(command, color=True).output == "so: fail\n"


WIDE = [("1", "1,280", "603", "60.9% (56.9 to 64.7%)", "62.4% (58.4 to 66.2%)", "audit", "59.5% (55.4 to 63.5%)")]
HEAD = ("version", "predictions", "labelled", "accuracy (95%)", "estimate (95%)", "rests on", "macro F1")


@pytest.mark.parametrize("width", [80, 100])
def test_a_table_is_no_wider_than_its_terminal_and_loses_nothing(monkeypatch, width):
    monkeypatch.setattr("command.terminal.find_width", lambda: width)
    text = align(HEAD, WIDE)
    assert max(map(len, text.splitlines())) <= width and ("(56.9 to 64.7%)" in text) == (width == 100)
    assert sorted(text.split()) == sorted(" ".join((*HEAD, *WIDE[0])).split())


def test_a_path_that_is_longer_than_its_column_goes_on_below(monkeypatch):
    monkeypatch.setattr("command.terminal.find_width", lambda: 80)
    text = align(("check", "found"), [("root", "file:///" + "long/" * 30)])
    assert max(map(len, text.splitlines())) <= 80 and text.count("long/") >= 28


def test_a_table_in_a_pipe_has_one_line_for_a_row(monkeypatch):
    assert len(align(HEAD, WIDE).splitlines()) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    assert find_width() == 80
