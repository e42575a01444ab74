"""How others feed pictures, each with two persistent workers; part of `python -m benchmarks.feeding`.

    PYTHON benchmarks/feeding_peers.py streaming|webdataset FOLDER uint8|float

Run as a program it stays, and reads a line for each epoch to come: a Python that has the peer and nothing of ours.
"""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BATCH, CROP, WORKERS = 64, 224, 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIELDS = ["image", "label_index"]


def make_transform(kind: str, tensor: bool) -> Any:
    """Returns torchvision's v2: random crop and flip of a Pillow picture or of a tensor."""
    import torch
    from torchvision.transforms import v2

    steps = [*([] if tensor else [v2.PILToTensor()]), v2.RandomCrop(CROP), v2.RandomHorizontalFlip()]
    return v2.Compose([*steps, *([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)] if kind == "float" else [])])


def make_epoch(data: Any, shuffle: bool = False, batch: int | None = BATCH) -> Callable[[], Iterator[int]]:
    """Returns a function that runs an epoch through torch's DataLoader."""
    import torch
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    loader = DataLoader(data, batch, shuffle=shuffle, num_workers=WORKERS, persistent_workers=True)
    return lambda: (len(images) for images, _ in loader)


def image_folder(folder: Path, decoder: str, kind: str) -> Callable[[], Iterator[int]]:
    """torchvision's ImageFolder; decoder: Pillow or decode_jpeg."""
    from torchvision.datasets import ImageFolder
    from torchvision.io import decode_jpeg, read_file

    data = ImageFolder(str(folder), make_transform(kind, tensor=decoder == "decode_jpeg"))
    if decoder == "decode_jpeg":
        data.loader = lambda path: decode_jpeg(read_file(path))
    return make_epoch(data, shuffle=True)


def make_reader(folder: Path, kind: str) -> Iterator[int]:
    """Petastorm's own way for rows with a codec: decoded and transformed by its threads, collated by its DataLoader."""
    import numpy as np
    import torch
    from petastorm import make_reader
    from petastorm.pytorch import DataLoader
    from petastorm.transform import TransformSpec

    change = make_transform(kind, tensor=True)
    spec = TransformSpec(lambda row: row | {"image": change(torch.from_numpy(row["image"]).permute(2, 0, 1)).numpy()},
                         edit_fields=[("image", np.float32 if kind == "float" else np.uint8, (3, CROP, CROP), False)])
    reader = make_reader(f"file://{folder}", workers_count=WORKERS, schema_fields=FIELDS, transform_spec=spec)
    with DataLoader(reader, batch_size=BATCH) as loader:
        yield from (len(batch["image"]) for batch in loader)


def make_reader_cached(folder: Path, kind: str, cache: Path) -> Iterator[int]:
    """The same with its cache of decoded rows on local disk. It would cache what a transform returns, and so one crop for all
    epochs; therefore pictures are cropped when batches are collated."""
    import torch
    from petastorm import make_reader
    from petastorm.pytorch import DataLoader

    change = make_transform(kind, tensor=True)

    def collate(rows: Any) -> Any:
        return torch.stack([change(torch.from_numpy(row["image"]).permute(2, 0, 1)) for row in rows])

    reader = make_reader(f"file://{folder}", workers_count=WORKERS, schema_fields=FIELDS, cache_type="local-disk",
                         cache_location=str(cache), cache_size_limit=20 << 30, cache_row_size_estimate=200_000)
    with DataLoader(reader, batch_size=BATCH, collate_fn=collate) as loader:
        yield from map(len, loader)


def streaming(folder: Path, kind: str) -> Callable[[], Iterator[int]]:
    """MosaicML streaming, JPEGs in MDS shards, decoded by its own codec (Pillow)."""
    from PIL import Image
    from streaming import MDSWriter, StreamingDataset

    out = folder / f"mds-{kind}"  # a folder belongs to one process
    if not out.exists():
        with MDSWriter(out=str(out), columns={"x": "jpeg", "y": "int"}) as writer:
            for path in shuffle_pictures(folder):
                writer.write({"x": Image.open(path), "y": "ab".index(path.parent.name)})
    change = make_transform(kind, tensor=False)

    class Data(StreamingDataset):
        def __getitem__(self, i: int) -> tuple[Any, int]:
            row = super().__getitem__(i)
            return change(row["x"]), row["y"]

    return make_epoch(Data(local=str(out), shuffle=True, batch_size=BATCH))


def webdataset(folder: Path, kind: str) -> Callable[[], Iterator[int]]:
    """WebDataset, JPEGs in tar shards, decoded by Pillow, batches made in the workers."""
    import webdataset as wds

    out = folder / f"wds-{kind}"  # a folder belongs to one process
    if not out.exists():
        out.mkdir()
        with wds.ShardWriter(f"{out}/%03d.tar", maxcount=500, verbose=0) as writer:
            for n, path in enumerate(shuffle_pictures(folder)):
                writer.write({"__key__": f"{n:06d}", "jpg": path.read_bytes(), "cls": "ab".index(path.parent.name)})
    change = make_transform(kind, tensor=False)
    urls = sorted(str(path) for path in out.glob("*.tar"))
    data = wds.WebDataset(urls, shardshuffle=100).shuffle(500).decode("pil").to_tuple("jpg", "cls")
    return make_epoch(data.map_tuple(change, int).batched(BATCH), batch=None)


def shuffle_pictures(folder: Path) -> list[Path]:
    """Returns the pictures in one random order: what is written in it is read in it."""
    paths = sorted((folder / "pictures").glob("*/*.jpg"))
    random.Random(0).shuffle(paths)
    return paths


def start_peer(python: str, peer: str, folder: Path, kind: str) -> Callable[[], Iterator[int]]:
    """Starts a process of the other Python and returns a function that runs an epoch in it; the process stays for the next."""
    # -P: what lies beside this file (requests.py) is not what the peer imports by that name.
    process = subprocess.Popen([python, "-P", __file__, peer, str(folder), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)

    def epoch() -> Iterator[int]:
        process.stdin.write("\n")
        process.stdin.flush()
        yield int(process.stdout.readline())

    return epoch


def main() -> None:
    """Answers each line with the rows of an epoch, until its standard input ends."""
    peer, folder, kind = sys.argv[1:]
    epoch = {"streaming": streaming, "webdataset": webdataset}[peer](Path(folder), kind)
    for _ in sys.stdin:
        print(sum(epoch()), flush=True)


if __name__ == "__main__":
    main()
