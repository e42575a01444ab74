"""Class lists as people have them: read in the order of the outputs, or refused with the place."""

import json

import pytest

from contract.errors import UsageError
from training.class_file import read_classes

CATS = ["cat", "dog", "bird"]
IMAGENET = {"0": ["n01440764", "tench"], "1": ["n02012849", "crane"], "2": ["n03126707", "crane"]}

READ = {
    "lines": "cat\ndog\nbird\n",
    "lines of Windows": "cat\r\ndog\r\nbird\r\n\r\n",
    "byte order mark": "\ufeffcat\ndog\nbird",
    "UTF-16": "cat\ndog\nbird".encode("utf-16"),
    "list": json.dumps(CATS),
    "list with a byte order mark": "\ufeff" + json.dumps(CATS),
    "pairs": '[[1, "dog"], [0, "cat"], [2, "bird"]]',
    "pairs the other way": '[["dog", 1], ["cat", 0], ["bird", 2]]',
    "number to name": '{"0": "cat", "2": "bird", "1": "dog"}',
    "name to number": '{"bird": 2, "cat": 0, "dog": 1}',
    "objects": '[{"id": 1, "name": "dog", "supercategory": "animal"}, {"id": 0, "name": "cat"}, {"id": 2, "name": "bird"}]',
    "of a trainer": '{"class_to_idx": {"dog": 1, "cat": 0, "bird": 2}}',
    "of a network's settings": '{"id2label": {"0": "cat", "1": "dog", "2": "bird"}, "label2id": {"cat": 0, "dog": 1, "bird": 2}}',
    "of a detector": '{"nc": 3, "names": ["cat", "dog", "bird"]}',
    "table": "1,dog\n0,cat\n2,bird\n",
    "table with a head": "index,name\n0,cat\n1,dog\n2,bird\n",
    "numbers behind": "cat 0\ndog 1\nbird 2\n",
    "numbers and tabs": "0\tcat\n1\tdog\n2\tbird\n",
    "quotes": '"cat"\n"dog"\n"bird"\n',
    "quotes in a table": '0,"cat"\n1,"dog"\n2,"bird"\n',
}


@pytest.mark.parametrize("name", READ)
def test_files_that_can_mean_one_thing_are_read(tmp_path, name):
    content = READ[name]
    (tmp_path / "classes").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_classes(tmp_path / "classes") == CATS


@pytest.mark.parametrize(("content", "names"), [
    ("7\n3\n", ["7", "3"]),
    ("[7, 3]", ["7", "3"]),
    ('{"7": 0, "3": 1}', ["7", "3"]),
    ("tench, Tinca tinca\ngoldfish, Carassius auratus", ["tench, Tinca tinca", "goldfish, Carassius auratus"]),
    ("2 euro\n5 euro\n", ["2 euro", "5 euro"]),
    ('["1 euro", "2 euro"]', ["1 euro", "2 euro"]),
    (json.dumps(IMAGENET), ["tench", "crane (n02012849)", "crane (n03126707)"]),
    (json.dumps(list(IMAGENET.values())), ["tench", "crane (n02012849)", "crane (n03126707)"])])
def test_names_stay_as_they_are_written(tmp_path, content, names):
    (tmp_path / "classes.txt").write_text(content)
    assert read_classes(tmp_path / "classes.txt") == names


@pytest.mark.parametrize(("content", "said"), [
    ("cat\n\ndog\n", "line 2 is empty"),
    ("cat\ndog\ncat \n", "'cat' twice: line 1 and line 3"),
    ('["cat", "dog", " cat"]', "'cat' twice: entry 1 and entry 3"),
    ('{"cat": 0, "cat": 1}', "'cat' twice"),
    ('["cat", null]', "entry 2: expected the name of a class.*None"),
    ('{"0": "cat", "1": null}', "key '1': expected the name of a class, got None"),
    ('["cat", true]', "entry 2"), ('["cat", 1.5]', "entry 2"), ('["cat", ["a", "b", "c"]]', "entry 2"),
    ('{"0": "cat", "2": "dog"}', "key '2': expected the numbers 0 to 1 of 2 classes, got 2"),
    ('{"1": "cat", "2": "dog"}', "expected the numbers 0 to 1"),
    ('{"cat": 0, "dog": 0}', "expected each number once, got 0"),
    ('{"0": 1, "1": 2, "2": 0}', "can mean one thing"),
    ('[["cat", 0], "dog"]', "entry 2: expected a number beside every class or beside none"),
    ('{"classes": ["a", "b"], "names": ["b", "a"]}', "several that differ"),
    ('{"cat": [1, 2]}', "key 'cat'"),
    ("1,cat\n2,dog\n3,bird\n", "every line has a number, 1 to 3"),
    ("index,name\ncat\ndog\n", "line 1 looks like the head of a table"),
    ("cat,dog,bird\n", "got one line"),
    ("- cat\n- dog\n", "begins with a dash"), ("cat,\ndog,\nbird\n", "ends with a comma"),
    ("cat\nd\u0000g\n", "line 2: the label holds a control character"), ("cat\n\u2260\n", "line 2"),
    ("[" * 5000, "JSON"), ("[]", "at least one class"),
    (b"cat\nk\xe4se\n", "expected UTF-8 text, got other bytes in line 2")])
def test_what_could_mean_two_things_is_refused_with_its_place(tmp_path, content, said):
    (tmp_path / "classes.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=said):
        read_classes(tmp_path / "classes.txt")


def test_a_file_like_imagenets_has_1000_classes_although_two_pairs_have_one_name(tmp_path):
    names = {str(n): [f"n{n:08d}", f"thing {n if n not in (517, 639) else n - 1}"] for n in range(1000)}
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps(names))
    found = read_classes(tmp_path / "imagenet_class_index.json")
    assert len(set(found)) == 1000 and (found[0], found[517]) == ("thing 0", "thing 516 (n00000517)")
