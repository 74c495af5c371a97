"""Captured work: the same numbers as the work itself, and what happens where capture fails."""

import gc
import inspect
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import pytest
import torch
from lalm_material import DIM, Folder, Material
from tape import Tape
from test_fixed import WHOLE, batch_of
from test_train import DROPOUT, trainer_of, weights

from auricle.lalm import capture as capture_module
from auricle.lalm.capture import Captures, CudaCapturer, prepare_gpu
from auricle.lalm.decode import Generator
from auricle.lalm.gradients import FixedGradients
from auricle.lalm.greedy import Settings
from auricle.lalm.model import build_lalm


class Broken(Tape):
    def capture(self, work, generator):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")


def trainer_with(capturer, *given):
    """A trainer whose steps are captured."""
    trainer = trainer_of(*given)
    trainer._gradients = FixedGradients(trainer.lalm, capturer)
    return trainer


@pytest.mark.parametrize(
    "changes", [{}, WHOLE, {"precision": "bf16"}, {"features__concat": 2}], ids=str
)
def test_captured_training_learns_what_the_packed_one_does(
    make_recipe, tokens, tmp_path, changes
) -> None:
    recipe = make_recipe(train__steps=40, **changes)
    packed = trainer_of(recipe, tokens, Folder(tmp_path / "packed"))
    packed.run_until(40)
    tape = Tape()
    taped = trainer_with(tape, recipe, tokens, Folder(tmp_path / "taped"))
    taped.run_until(40)
    assert tape.captured < 10
    assert tape.replayed == 40
    limit = 2e-2 if "precision" in changes else 2e-5
    assert list(taped.losses) == pytest.approx(list(packed.losses), rel=limit)
    assert packed.losses[-1] < 0.9 * packed.losses[0]


def test_captured_training_has_the_bytes_of_the_eager_one_after_any_kill(
    make_recipe, tokens, tmp_path, caplog
) -> None:
    recipe = make_recipe(train__steps=130, train__batch_size=2, **DROPOUT)
    straight = trainer_with(Tape(), recipe, tokens, Folder(tmp_path / "straight"))
    straight.run_until(130)
    plain = trainer_with(Broken(), recipe, tokens, Folder(tmp_path / "plain"))
    plain.run_until(130)
    assert caplog.text.count("cannot be captured") == 1
    assert "not permitted" in plain.slow_because
    assert straight.slow_because == ""
    folder = Folder(tmp_path / "killed")
    for stop in (30, 77, 101, 130):
        killed = trainer_with(Tape(), recipe, tokens, folder)
        killed.resume()
        killed.run_until(stop)
    for other in (plain, killed):
        assert list(other.losses) == list(straight.losses)
        for name, value in weights(straight).items():
            assert torch.equal(value, weights(other)[name]), name


def test_each_step_has_masks_of_its_own(make_recipe, tokens) -> None:
    lalm = build_lalm(make_recipe(**DROPOUT), tokens=tokens, feature_dim=DIM, seed=0)
    for piece in lalm.pieces():  # adapters that do nothing yet would hide their masks
        piece.parameter.data.add_(0.05)
    tape = Tape()
    gradients = FixedGradients(lalm, tape)
    batch = batch_of(Material(), tokens)
    kept = [gradients(batch, seed) for seed in (1, 2, 1, None, 2)]
    losses = [float(loss) for loss in kept]  # read later, as on a GPU
    assert losses[0] == losses[2]
    assert losses[1] == losses[4]
    assert len(set(losses)) == 3
    assert tape.captured == 2  # with dropout and without


def test_captured_answers_are_those_of_the_eager_steps(make_recipe, tokens, material) -> None:
    recipe = make_recipe(answer__repetition_penalty=1.3, answer__max_new_tokens=15)
    lalm = build_lalm(recipe, tokens=tokens, feature_dim=DIM, seed=3)
    lalm.set_precision(torch.float64)
    rows = [lalm.positions(material.read(f"clip-{i}")).detach() for i in range(40)]
    prompts = [tokens.encode(material.draw(i).prompt) for i in range(40)]
    plain = Generator(lalm.decoder)
    said = Counter(chain(*plain.generate(rows, prompts, Settings(tokens.eos_id, 15, 1.3))))
    settings = Settings(said.most_common(1)[0][0], 15, 1.3)  # so that many answers end early
    for positions in (64, 6 * 128, 65_536):
        tape = Tape()
        taped = Generator(lalm.decoder, cache_positions=positions, capturer=tape)
        broken = Generator(lalm.decoder, cache_positions=positions, capturer=Broken())
        # The second chunk is larger than the first, the third has the first one's sizes again.
        for chunk in (slice(0, 9), slice(9, 40), slice(2, 11)):
            expected = plain.generate(rows[chunk], prompts[chunk], settings)
            assert len({len(answer) for answer in expected}) > 2
            for generator in (taped, broken):
                assert generator.generate(rows[chunk], prompts[chunk], settings) == expected
        assert tape.replayed > 3 * tape.captured


def test_a_step_adds_in_one_order_and_leaves_torch_as_it_was(
    make_recipe, tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where torch refuses other orders, not where it warns, is attention's gradient fixed."""
    lalm = build_lalm(make_recipe(), tokens=tokens, feature_dim=DIM, seed=0)
    seen, real = [], lalm.fixed_loss

    def watched(*args, **kwargs):
        seen.append(torch.get_deterministic_debug_mode())
        return real(*args, **kwargs)

    monkeypatch.setattr(lalm, "fixed_loss", watched)
    FixedGradients(lalm, Tape())(batch_of(Material(), tokens), None)
    assert set(seen) == {2}  # "error"
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.utils.deterministic.fill_uninitialized_memory


class Sum:
    """Work with one input and one result."""

    def __init__(self) -> None:
        self.x, self.y = torch.ones(3), torch.zeros(())
        self.factor = 2.0
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self.y.copy_((self.x * self.factor).sum())


def run(captures: Captures, work: Sum, key: object = "sum") -> float:
    captures.run(key, work, lambda: [work.y])
    return float(work.y)


def test_a_capture_reads_its_inputs_anew() -> None:
    work, captures = Sum(), Captures(Tape())
    assert run(captures, work) == 6
    work.x.fill_(5)
    assert run(captures, work) == 30
    assert work.calls == 2  # the warm-up and the capture


def test_a_capture_that_gives_other_numbers_is_not_used(caplog) -> None:
    class Drifting(Sum):
        def __call__(self) -> None:
            super().__call__()
            self.factor = 3.0  # as Python decided it while it was captured: not the warm-up's

    work, captures = Drifting(), Captures(Tape())
    with caplog.at_level(logging.WARNING):
        assert run(captures, work) == 6
    assert "its replay gives other numbers" in caplog.text
    assert run(captures, work) == 9
    assert work.calls == 3


def test_work_that_reads_a_number_back_is_done_step_by_step(caplog) -> None:
    class Reading(Sum):
        def __call__(self) -> None:
            super().__call__()
            self.y.add_(float(self.x[0]))

    work, captures = Reading(), Captures(Tape())
    with caplog.at_level(logging.WARNING):
        assert run(captures, work) == 7
    assert "not permitted" in caplog.text
    work.x.fill_(5)
    assert run(captures, work) == 35


def test_work_that_fits_only_without_captures_is_done_without(caplog) -> None:
    class Small(Tape):
        """Has memory for one capture, and for none beside it."""

        def warm_up(self, work) -> None:
            if self.captured:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
            super().warm_up(work)

    generator = torch.Generator().manual_seed(7)
    noise = torch.zeros(3)
    captures = Captures(Small())
    for key in ("short", "long", "long"):
        generator.manual_seed(7)
        captures.run(
            key,
            lambda: noise.normal_(generator=generator),
            lambda: [noise],
            generator=generator,
        )
    expected = torch.empty(3).normal_(generator=torch.Generator().manual_seed(7))
    assert torch.equal(noise, expected)
    assert captures.given_up.count("CUDA out of memory") == 1
    with pytest.raises(torch.OutOfMemoryError):
        full = Small()
        full.captured = 1  # by another
        Captures(full).run("short", Sum(), list)


def test_a_failed_capture_keeps_nothing_alive() -> None:
    gone = []

    class Held:
        def __del__(self) -> None:
            gone.append(True)

    class Failing(Tape):
        def capture(self, work, generator):
            held = Held()
            raise RuntimeError(f"failed with {type(held).__name__}")

    work = Sum()
    gc.disable()
    try:
        run(Captures(Failing()), work)
        assert gone == [True]
    finally:
        gc.enable()


def test_a_failure_of_the_work_itself_is_not_hidden() -> None:
    def work() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        Captures(Tape()).run("key", work, list)


def test_work_is_captured_when_it_comes_back_often_enough() -> None:
    tape = Tape()
    work, captures = Sum(), Captures(tape, patience=2)
    for number in range(5):
        assert run(captures, work) == 6
        assert tape.captured == (number >= 2)
    assert tape.replayed == 3


@pytest.mark.parametrize("generator", [None, torch.Generator()])
def test_torchs_graphs_are_asked_in_order(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator | None
) -> None:
    """What is asked of torch where no GPU is at hand: names and arguments are the real ones."""
    done: list[str] = []

    @contextmanager
    def using(name: str) -> Iterator[None]:
        done.append(f"enter {name}")
        yield
        done.append(f"leave {name}")

    class Stream:
        def __init__(self, name: object) -> None:
            self.name = str(name)

        def wait_stream(self, other: "Stream") -> None:
            done.append(f"{self.name} waits for {other.name}")

    class Graph:
        def register_generator_state(self, given: torch.Generator) -> None:
            assert given is generator
            done.append("register")

        def replay(self) -> None:
            done.append("replay")

    real = inspect.signature(torch.cuda.graph.__init__)

    def graph(*given: object, **named: object):
        bound = real.bind(None, *given, **named).arguments
        assert bound["pool"] == "pool"
        assert bound["capture_error_mode"] == "thread_local"
        return using(f"graph on {bound['stream'].name}")

    assert {"register_generator_state", "replay"} <= set(dir(torch._C._CUDAGraph)) or (
        not torch.backends.cuda.is_built()
    )
    outside = Stream("outside")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("side"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: outside)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: using(stream.name))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    capturer = CudaCapturer(torch.device("cuda"))
    capturer.warm_up(lambda: done.append("work"))
    assert done == [
        *("side waits for outside", "enter side", "work", "leave side"),
        "outside waits for side",
    ]
    done.clear()
    replay = capturer.capture(lambda: done.append("work"), generator)
    assert done == [
        *(["register"] if generator is not None else []),
        *("enter outside", "enter graph on side", "work"),
        *("leave graph on side", "leave outside"),
    ]
    done.clear()
    replay()
    assert done == ["replay"]


def test_a_gpu_is_prepared_to_repeat_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        for given, expected in ((None, ":4096:8"), (":0:0", ":4096:8"), (":16:8", ":16:8")):
            monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
            if given is not None:
                monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given)
            prepare_gpu(torch.device("cuda:1"))
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == expected
        prepare_gpu(torch.device("cuda"))
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
    assert chosen == [torch.device("cuda:1")] * 3


def test_forgotten_captures_are_made_again() -> None:
    tape = Tape()
    work, captures = Sum(), Captures(tape)
    for _ in range(2):
        assert run(captures, work) == 6
        captures.clear()
    assert tape.captured == 2


def test_the_longest_unused_capture_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "MOST", 2)
    tape = Tape()
    work, captures = Sum(), Captures(tape)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert run(captures, work, key) == 6
    assert tape.captured == 4  # a, b, c, and b again
