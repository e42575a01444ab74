"""The fine-tuning loop, as every rank runs it.

Each step: forward and backward on this rank's rows, one sum over the ranks of gradients, running statistics and the
loss, then the same update everywhere. Gradients are sums over rows divided by the step's rows over all ranks, so the
split into ranks does not change what a row weighs.
"""

import hashlib
import math
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import torch
from torch.nn import functional as f

from contract.documents import manifest
from contract.documents.manifest import Manifest
from contract.errors import Mismatch, NotFinite
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_percent
from training.feed import augment
from training.feed.batches import Batch, BatchSource
from training.feed.normalise import Normaliser
from training.feed.world import World, shuffle_files
from training.fit import initial_weights
from training.fit.checkpoint import FINAL, Checkpoint, Checkpoints
from training.fit.job import Job
from training.fit.metrics_log import MetricsLog
from training.fit.process_group import ProcessGroup, join_process_group
from training.fit.progress import TrainingProgress
from training.fit.state import State, lr_at


def run(job: dict[str, Any], alone: bool = False) -> dict[str, Any]:
    """Trains as one rank; `job` is a training.fit.job.Job as plain JSON. The result counts only with its final document.

    `alone`: whatever the environment says, as the only rank. Raises NotFinite, Mismatch, BadWeights on every rank alike.
    """
    parsed = Job.parse(job, "training job")
    with join_process_group(parsed.threads, alone, parsed.train.device) as group:
        if group.size != parsed.ranks:
            raise Mismatch(f"expected {parsed.ranks} ranks, the launcher made {group.size}. Check --ranks and the cluster.")
        return Loop(parsed, group).run()


class Loop:
    """One rank's training of one job.

    `feed`: where its batches come from, by default the dataset's Petastorm files; it is closed at the end.
    """

    def __init__(self, job: Job, process_group: ProcessGroup, feed: BatchSource | None = None) -> None:
        self.job, self.process_group, self.settings = job, process_group, job.train
        self.storage: Storage = open_root(job.root)
        dataset = manifest.load(self.storage, job.dataset)
        self.train_files = dataset.split("train")
        self.validation_files = dataset.split("validation")
        self.world = World(process_group.rank, process_group.size, dataset.rows["train"], self.settings.batch)
        self.checkpoints = Checkpoints(self.storage, job.folder, job.digest())
        net, self.inherited = initial_weights.make_initial(job, self.storage)
        self.state = State(net, self.settings, process_group.device)
        self.class_weights = _weigh_classes(dataset, self.settings.class_weights, process_group.device)
        self.feed = feed or open_feed(job, self.storage)
        self.strength = augment.find_strength(self.settings.augment)
        self.normalise = Normaliser(job.preprocess)
        self.history: list[dict[str, Any]] = []
        self.sums = [0.0, 0.0, 0.0]  # of this epoch so far: loss, right, rows
        self.saved_at = 0

    def run(self) -> dict[str, Any]:
        """Trains from the newest checkpoint, or the start, to the final document."""
        epoch, step = self._resume()
        steps = self.world.steps
        self.progress = TrainingProgress(self.settings.epochs * steps, epoch * steps + step,
                                         silent=not self.process_group.is_first)
        self.progress.line(self.inherited if (epoch, step) == (0, 0) else f"resumes at epoch {epoch + 1}, step {step}")
        first = self.process_group.is_first
        self.log = MetricsLog(self.settings.log_dir if first else None, self._updates(epoch, step),
                              self.job.track if first else None)
        try:
            while epoch < self.settings.epochs and not self._should_stop_early():
                self._run_epoch(epoch, step)
                epoch, step = epoch + 1, 0
        finally:
            self.progress.close()
            self.log.close()
            self.feed.close()
        return self._finish(epoch)

    def _resume(self) -> tuple[int, int]:
        checkpoint = self.checkpoints.load_newest()
        self.process_group.barrier()  # nobody may write the next one before all have read this one
        if checkpoint is None:
            return 0, 0
        self.state.restore(checkpoint)
        self.history, self.sums = checkpoint.facts["history"], checkpoint.facts["sums"]
        self.saved_at = checkpoint.epoch * self.world.steps + checkpoint.step
        return checkpoint.epoch, checkpoint.step

    def _run_epoch(self, epoch: int, first: int) -> None:
        files = [self.train_files[n] for n in shuffle_files(len(self.train_files), self.settings.seed, epoch)]
        steps = self.world.steps
        spans = [self.world.step(s) for s in range(first, steps)]
        sizes = [high - low for low, high in spans]
        windows = augment.make_crop_windows(self.strength, self.settings.seed, epoch)
        low, step = spans[0][0] if spans else 0, first
        with closing(self.feed.batches(files, low, sizes, windows)) as feed:
            while batches := list(islice(feed, self.settings.accumulate)):
                self._update(epoch, step, batches)
                step += len(batches)
                if step < steps:
                    self._save_when_due(epoch, step)
        self._end_epoch(epoch)

    def _update(self, epoch: int, first: int, batches: Sequence[Batch]) -> None:
        """Makes one update from the batches of steps from `first` on (one step, unless gradients are accumulated)."""
        state, rows = self.state, sum(len(batch.hashes) for batch in batches)
        state.flat.zero_()
        for step, batch in enumerate(batches, first):
            self._run_step(epoch, step, batch)
        if self.process_group.size > 1:
            state.weigh_buffers(rows)
        state.flat[-1] = rows
        self.process_group.all_reduce(state.flat)
        loss, right, total = state.flat[-State.SCALARS:].tolist()
        expected = sum(self.world.step_rows(step) for step in range(first, first + len(batches)))
        if total != expected:
            raise Mismatch(f"epoch {epoch + 1}, step {first}: expected {expected} rows over all ranks, "
                           f"got {total:g}. The ranks see different data; start again.")
        if self.process_group.size > 1:
            state.take_buffers(int(total))
        self._apply(epoch, first, loss, int(total))
        self.sums = [a + b for a, b in zip(self.sums, (loss, right, total), strict=True)]
        self.progress.step(epoch, self.settings.epochs, loss / total, int(total), len(batches))

    def _run_step(self, epoch: int, step: int, batch: Batch) -> None:
        # All randomness inside the network (dropout) follows from where we are, so a resume needs no generator state.
        torch.manual_seed(_make_seed(self.settings.seed, epoch, step, self.process_group.rank))
        rows = len(batch.hashes)
        if self.settings.sync_batchnorm:  # ranks that wait for each other must all do the same
            spans = (self.world.step(step, rank) for rank in range(self.process_group.size))
            self.state.set_modes(min(high - low for low, high in spans))
        else:
            self.state.set_modes(rows)
        if rows:
            self._backward(epoch, batch)

    def _backward(self, epoch: int, batch: Batch) -> None:
        device = self.process_group.device
        images, labels = batch.images.to(device), batch.labels.to(device)
        if not self.settings.channels_last:
            images = images.contiguous()
        uniforms = augment.draw_uniforms(self.settings.seed, epoch, batch.hashes)
        x = self.normalise(augment.apply(images, self.strength, uniforms))
        if self.settings.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.state.forward(x)
        loss = f.cross_entropy(logits.float(), labels, self.class_weights, reduction="sum",
                               label_smoothing=self.settings.label_smoothing)
        loss.backward()
        self.state.flat[-3] += loss.detach()
        self.state.flat[-2] += (logits.detach().argmax(1) == labels).sum()

    def _apply(self, epoch: int, step: int, loss: float, total: int) -> None:
        at = self._updates(epoch, step)
        lr = lr_at(at, self._updates(self.settings.epochs, 0), self.settings)
        norm = self.state.update(total, lr) if math.isfinite(loss) else loss
        if not math.isfinite(norm):
            raise NotFinite(f"epoch {epoch + 1}, step {step}: expected a finite loss and gradient, got loss {loss / total}, "
                            f"norm {norm}. No step was taken; lower train.lr, or look at the images of this step.")
        self.log.log_update(at, epoch=epoch + 1, loss=loss / total, lr=lr, rows=total, gradient_norm=norm)

    def _updates(self, epoch: int, step: int) -> int:
        """Returns the number of updates before this step."""
        return epoch * math.ceil(self.world.steps / self.settings.accumulate) + step // self.settings.accumulate

    def _end_epoch(self, epoch: int) -> None:
        loss, right, rows = self.sums
        if rows != self.world.rows:
            raise Mismatch(f"epoch {epoch + 1}: expected {self.world.rows} training rows by the manifest, the ranks read "
                           f"{rows:g}. Make the dataset again.")
        entry = {"epoch": epoch + 1, "loss": loss / rows, "accuracy": right / rows, "rows": int(rows),
                 "validation": self._validate()}
        self.history.append(entry)
        self.sums = [0.0, 0.0, 0.0]
        if self.settings.patience and entry["validation"] and self._epochs_since_best() == 0:
            self.state.keep_best()
        self.progress.line(_format_entry(entry, self.settings.epochs))
        self.log.log_epoch(entry)
        self._save_when_due(epoch + 1, 0)

    def _validate(self) -> dict[str, float] | None:
        """Returns loss and accuracy on the validation rows, of the weights as they would be served; None without rows."""
        total = sum(file.rows for file in self.validation_files)
        if not total:
            return None
        world = World(self.process_group.rank, self.process_group.size, total, 2 * self.settings.batch)
        sizes = [high - low for low, high in map(world.step, range(world.steps))]
        sums = torch.zeros(3, dtype=torch.float64)
        self.state.net.eval()
        device = self.process_group.device
        weights = {key: value.to(device) for key, value in self.state.result().items()}
        with closing(self.feed.batches(self.validation_files, world.span()[0], sizes)) as batches:
            for batch in batches:
                if batch.hashes:
                    sums += self._sum_losses(weights, batch)
        loss, right, rows = self.process_group.all_reduce(sums.to(device)).tolist()
        return {"loss": loss / rows, "accuracy": right / rows, "rows": int(rows)}

    def _sum_losses(self, weights: dict[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """Returns float64 [3]: the sum of losses, the number of right rows, the number of rows."""
        x = self.normalise(batch.images.to(self.process_group.device))
        labels = batch.labels.to(self.process_group.device)
        with torch.inference_mode():
            logits = torch.func.functional_call(self.state.net, weights, (x,)).float()
            loss = f.cross_entropy(logits, labels, reduction="sum")
            return torch.tensor([loss, (logits.argmax(1) == labels).sum(), len(labels)], dtype=torch.float64)

    def _epochs_since_best(self) -> int:
        losses = [entry["validation"]["loss"] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses))

    def _should_stop_early(self) -> bool:
        patience = self.settings.patience
        if patience is None or not self.history or not self.history[-1]["validation"]:
            return False
        return self._epochs_since_best() >= patience

    def _save_when_due(self, epoch: int, step: int) -> None:
        at = epoch * self.world.steps + step
        if at - self.saved_at >= self.settings.checkpoint_steps and epoch < self.settings.epochs:
            self.saved_at = at
            if self.process_group.is_first:
                facts = {"history": self.history, "sums": self.sums}
                self.checkpoints.save(Checkpoint(epoch, step, self.state.tensors(), facts))

    def _finish(self, epoch: int) -> dict[str, Any]:
        result = self.state.best if self.settings.patience and self.state.best else self.state.result()
        facts = {"history": self.history, "inherited": self.inherited, "ranks": self.process_group.size}
        if self.process_group.is_first:
            self.checkpoints.save(Checkpoint(epoch, 0, result, facts), FINAL)
        self.process_group.barrier()
        return {"job": self.checkpoints.job, "epochs": epoch, "rank": self.process_group.rank}


def open_feed(job: Job, storage: Storage) -> BatchSource:
    """Returns the feed over the Petastorm files of a job's dataset."""
    from training.feed.feed import Feed

    cache_bytes = job.train.cache_mib << 20 if job.train.epochs > 1 else 0
    return Feed(storage, job.preprocess, job.threads, cache_bytes=cache_bytes)


def _weigh_classes(dataset: Manifest, how: str, device: torch.device) -> torch.Tensor | None:
    """Returns a weight for each class, float32, or None for "none". "balanced": rows / (classes * rows of the class), so that
    every class has the same part of the loss and a row weighs 1 on average."""
    if how == "none":
        return None
    rows = [dataset.per_class["train"][label] for label in dataset.classes]
    return torch.tensor([sum(rows) / (len(rows) * n) for n in rows], dtype=torch.float32, device=device)


def _make_seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7], "big")


def _format_entry(entry: dict[str, Any], epochs: int) -> str:
    text = f"epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.4f}, accuracy {write_percent(entry['accuracy'], 1)}"
    validation = entry["validation"]
    if not validation:
        return text
    return f"{text}; validation loss {validation['loss']:.4f}, accuracy {write_percent(validation['accuracy'], 1)}"
