"""Terminal output: aligned whatever the letters, coloured only on a terminal, deaf to escapes in names."""

import click
from click.testing import CliRunner

from command.command import Outcome, stage_command
from command.terminal import align, colour_verdict, escape


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
