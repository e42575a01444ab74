"""The fine-tuning loop, as every rank runs it.

Each step: forward and backward on this rank's rows, one sum over the ranks of gradients, running statistics and the
loss, then the same update everywhere. Gradients are sums over rows divided by the step's rows over all ranks, so the
split into ranks does not change what a row weighs. A checkpoint of other ranks than these says which rows of its epoch were
not read yet, and these ranks read them.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import torch

from contract.documents import manifest
from contract.errors import Mismatch, NotFinite
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_percent
from training.feed import augment
from training.feed.batches import Batch, BatchSource
from training.feed.mixing import Mixer, find_group, mix_pictures
from training.feed.normalise import Normaliser
from training.feed.part import EpochPart, list_places, read_steps
from training.feed.world import World, shuffle_files
from training.fit import initial_weights, losses
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

    `feed`: where its batches come from, by default the dataset's Petastorm files; it is closed at the end. `end_of_epoch`: told
    each epoch's entry of the history, on every rank; what it raises ends the training, without a final document.
    """

    def __init__(self, job: Job, process_group: ProcessGroup, feed: BatchSource | None = None,
                 end_of_epoch: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.job, self.process_group, self.settings = job, process_group, job.train
        self.storage: Storage = open_root(job.root)
        dataset = manifest.load(self.storage, job.dataset)
        self.train_files = dataset.split("train")
        self.validation_files = dataset.split("validation")
        self.rows = dataset.rows["train"]
        self._begin_part(self._whole_epoch())
        self.checkpoints = Checkpoints(self.storage, job.folder, job.digest())
        net, self.inherited = initial_weights.make_initial(job, self.storage)
        self.state = State(net, self.settings, process_group.device)
        self.class_weights = losses.weigh_classes(dataset, self.settings, process_group.device)
        self.feed = feed or open_feed(job, self.storage)
        self.end_of_epoch = end_of_epoch
        self.strength = augment.find_strength(self.settings.augment)
        self.mixer = Mixer(self.settings.mixup, self.settings.cutmix, self.settings.seed, self.rows, self.world.group)
        self.normalise = Normaliser(job.preprocess)
        self.history: list[dict[str, Any]] = []
        self.sums = [0.0, 0.0, 0.0]  # of this epoch so far: loss, right, rows
        self.steps = self.updates = 0  # taken so far, by these ranks or others
        self.all_ranks = [process_group.size]  # how many trained, one after the other
        self.saved_at = 0

    def _whole_epoch(self) -> EpochPart:
        settings = self.settings
        group = find_group(settings.mixup, settings.cutmix, settings.batch)
        return EpochPart.whole(self.rows, self.process_group.size, settings.batch, group)

    def _begin_part(self, part: EpochPart) -> None:
        self.part, self.world = part, part.make_world(self.process_group.rank)

    def run(self) -> dict[str, Any]:
        """Trains from the newest checkpoint, or the start, to the final document."""
        epoch, step, how = self._resume()
        left = self.world.steps - step + (self.settings.epochs - epoch - 1) * self._whole_epoch().make_world().steps
        self.progress = TrainingProgress(self.steps + left, self.steps, silent=not self.process_group.is_first)
        self.progress.line(how)
        first = self.process_group.is_first
        self.log = MetricsLog(self.settings.log_dir if first else None, self.updates, self.job.track if first else None)
        try:
            while epoch < self.settings.epochs and not self._should_stop_early():
                self._run_epoch(epoch, step)
                epoch, step = epoch + 1, 0
        finally:
            self.progress.close()
            self.log.close()
            self.feed.close()
        return self._finish(epoch)

    def _resume(self) -> tuple[int, int, str]:
        """Returns the epoch to run, the next step of its part, and a sentence for people."""
        checkpoint = self.checkpoints.load_newest()
        self.process_group.barrier()  # nobody may write the next one before all have read this one
        if checkpoint is None:
            return 0, 0, self.inherited
        self.state.restore(checkpoint)
        self.history, self.sums = checkpoint.facts["history"], checkpoint.facts["sums"]
        self.steps, self.updates = checkpoint.facts["steps"], checkpoint.facts["updates"]
        self.saved_at = self.steps
        before = EpochPart.parse(checkpoint.facts["part"])
        part, step = before.go_on(checkpoint.step - before.steps, self.process_group.size)
        self._begin_part(part)
        how = f"resumes at epoch {checkpoint.epoch + 1}, step {checkpoint.step}"
        self.all_ranks = checkpoint.facts["all_ranks"]
        if part.ranks == before.ranks:
            return checkpoint.epoch, step, how
        self.all_ranks.append(part.ranks)
        return checkpoint.epoch, step, f"{how}, with {write_count(part.ranks, 'rank')} instead of {before.ranks}"

    def _run_epoch(self, epoch: int, first: int) -> None:
        files = [self.train_files[n] for n in shuffle_files(len(self.train_files), self.settings.seed, epoch)]
        steps, step = self.world.steps, first
        ranges = [self.part.locate(*self.world.step(s)) for s in range(first, steps)]
        windows = augment.make_crop_windows(self.strength, self.settings.seed, epoch)
        self.state.unfreeze(epoch)
        with closing(read_steps(self.feed, files, ranges, windows)) as feed:
            while batches := list(islice(feed, self.settings.accumulate)):
                self._update(epoch, step, batches)
                step += len(batches)
                if step < steps:
                    self._save_when_due(epoch, step)
        self._end_epoch(epoch)

    def _update(self, epoch: int, first: int, batches: Sequence[Batch]) -> None:
        """Makes one update from the batches of steps from `first` of this part on (one step, unless gradients are
        accumulated)."""
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
        self.steps, self.updates = self.steps + len(batches), self.updates + 1
        self.sums = [a + b for a, b in zip(self.sums, (loss, right, total), strict=True)]
        self.progress.step(epoch, self.settings.epochs, loss / total, int(total), len(batches))

    def _run_step(self, epoch: int, step: int, batch: Batch) -> None:
        # All randomness inside the network (dropout) follows from where we are, so a resume needs no generator state.
        torch.manual_seed(_make_seed(self.settings.seed, epoch, self.part.steps + step, self.process_group.rank))
        rows = len(batch.hashes)
        if self.settings.sync_batchnorm:  # ranks that wait for each other must all do the same
            spans = (self.world.step(step, rank) for rank in range(self.process_group.size))
            self.state.set_modes(min(high - low for low, high in spans))
        else:
            self.state.set_modes(rows)
        if rows:
            self._backward(epoch, step, batch)

    def _backward(self, epoch: int, step: int, batch: Batch) -> None:
        device = self.process_group.device
        images, labels = batch.images.to(device), batch.labels.to(device)
        if not self.settings.channels_last:
            images = images.contiguous()
        uniforms = augment.draw_uniforms(self.settings.seed, epoch, batch.hashes)
        x = self.normalise(augment.apply(images, self.strength, uniforms))
        mix = self.mixer.draw(epoch, list_places(self.part.locate(*self.world.step(step))))
        if mix is not None:
            x, own = mix_pictures(x, mix)
        if self.settings.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.state.forward(x)
        how = self.class_weights, self.settings.label_smoothing
        if mix is None:
            loss, right = losses.sum_losses(logits, labels, *how)
        else:
            others = labels[torch.from_numpy(mix.partner).to(device)]
            loss, right = losses.sum_mixed_losses(logits, labels, others, own, *how)
        loss.backward()
        self.state.flat[-3] += loss.detach()
        self.state.flat[-2] += right

    def _apply(self, epoch: int, step: int, loss: float, total: int) -> None:
        before, every = epoch * self.rows + int(self.sums[2]), self.settings.epochs * self.rows
        lr = lr_at(before / every, (before + total) / every, self.settings)
        norm = self.state.update(total, lr) if math.isfinite(loss) else loss
        if not math.isfinite(norm):
            raise NotFinite(f"epoch {epoch + 1}, step {step}: expected a finite loss and gradient, got loss {loss / total}, "
                            f"norm {norm}. No step was taken; lower train.lr, or look at the images of this step.")
        self.log.log_update(self.updates, epoch=epoch + 1, loss=loss / total, lr=lr, rows=total, gradient_norm=norm)

    def _end_epoch(self, epoch: int) -> None:
        loss, right, rows = self.sums
        if rows != self.rows:
            raise Mismatch(f"epoch {epoch + 1}: expected {self.rows} training rows by the manifest, the ranks read "
                           f"{rows:g}. Make the dataset again.")
        entry = {"epoch": epoch + 1, "loss": loss / rows, "accuracy": right / rows, "rows": int(rows),
                 "validation": self._validate()}
        self.history.append(entry)
        self.sums = [0.0, 0.0, 0.0]
        self._begin_part(self._whole_epoch())
        if self.settings.patience and entry["validation"] and self._epochs_since_best() == 0:
            self.state.keep_best()
        self.progress.line(_format_entry(entry, self.settings.epochs))
        self.log.log_epoch(entry)
        if self.end_of_epoch is not None:
            self.end_of_epoch(entry)
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
            return torch.tensor([*losses.sum_losses(logits, labels, None, 0.0), len(labels)], dtype=torch.float64)

    def _epochs_since_best(self) -> int:
        losses = [entry["validation"]["loss"] for entry in self.history]
        return len(losses) - 1 - losses.index(min(losses))

    def _should_stop_early(self) -> bool:
        patience = self.settings.patience
        if patience is None or not self.history or not self.history[-1]["validation"]:
            return False
        return self._epochs_since_best() >= patience

    def _save_when_due(self, epoch: int, step: int) -> None:
        """Saves the state before `step` of this part; the checkpoint counts steps of the whole epoch, so that names ascend."""
        if self.steps - self.saved_at >= self.settings.checkpoint_steps and epoch < self.settings.epochs:
            self.saved_at = self.steps
            if self.process_group.is_first:
                facts = {"history": self.history, "sums": self.sums, "steps": self.steps, "updates": self.updates,
                         "part": self.part.to_dict(), "all_ranks": self.all_ranks}
                self.checkpoints.save(Checkpoint(epoch, self.part.steps + step, self.state.tensors(), facts))

    def _finish(self, epoch: int) -> dict[str, Any]:
        result = self.state.best if self.settings.patience and self.state.best else self.state.result()
        facts = {"history": self.history, "inherited": self.inherited, "ranks": self.process_group.size,
                 "all_ranks": self.all_ranks}
        if self.process_group.is_first:
            self.checkpoints.save(Checkpoint(epoch, 0, result, facts), FINAL)
        self.process_group.barrier()
        return {"job": self.checkpoints.job, "epochs": epoch, "rank": self.process_group.rank}


def open_feed(job: Job, storage: Storage) -> BatchSource:
    """Returns the feed over the Petastorm files of a job's dataset."""
    from training.feed.feed import Feed

    cache_bytes = job.train.cache_mib << 20 if job.train.epochs > 1 else 0
    return Feed(storage, job.preprocess, job.threads, cache_bytes=cache_bytes)


def _make_seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7], "big")


def _format_entry(entry: dict[str, Any], epochs: int) -> str:
    text = f"epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.4f}, accuracy {write_percent(entry['accuracy'], 1)}"
    validation = entry["validation"]
    if not validation:
        return text
    return f"{text}; validation loss {validation['loss']:.4f}, accuracy {write_percent(validation['accuracy'], 1)}"
