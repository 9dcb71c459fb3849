"""The benchmark of the UNet: its table, what it counts, and one measurement of a tiny network."""

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import growth, unet
from tests import golden_data

worker = unet.unet_worker


def run(seconds, peak=2**30, **more):
    return {"device": "Some H200", "seconds": seconds, "cpu_seconds": 2 * seconds, "peak_bytes": peak, **more}


def report(runs, device="cuda", dtype="fp16", peak=790):
    setting = {"size": (560, 240), "frames": 16, "videos": 1, "dtype": dtype, "flops": 79e12, "runs": runs}
    settings = {"settings": [setting], "versions": {"torch": "2.0", "cuda": None}, "threads": 2}
    return {"device": device, "device_name": "Some H200", "peak_tflops": peak, **settings}


def cells(report):
    """The table's rows, by implementation: cells by column."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in unet.table(report)[2:]]
    return {row[4]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


def test_table_holds_runs_side_by_side():
    runs = {"official": [run(0.5, attention="xformers"), run(0.3)], "ours": [run(0.25), run(0.1, peak=2**31)]}
    rows = cells(report(runs))
    assert list(rows) == ["official (xformers)", "ours"]
    assert rows["official (xformers)"]["official / this"] == "1"
    assert rows["official (xformers)"]["floor / time"] == "25%"
    ours = rows["ours"]
    assert (ours["size"], ours["frames"], ours["videos"], ours["dtype"]) == ("560x240", "16", "1", "fp16")
    assert (ours["ms"], ours["from – to"], ours["peak GiB"]) == ("175.0", "100.0 – 250.0", "2.00")
    assert ours["official / this"] == "2.50 (2.00 – 3.00)"
    assert "Some H200 (torch 2.0)" in unet.table(report(runs))[0]


def test_table_says_what_ran_out_of_memory():
    rows = cells(report({"official": [{"problem": "out of memory"}], "ours": [run(0.2)]}))
    assert rows["official"]["ms"] == "out of memory"
    assert set(list(rows["official"].values())[6:]) == {"–"}
    assert (rows["ours"]["ms"], rows["ours"]["official / this"]) == ("200.0", "–")


def test_table_has_seconds_on_cpu_and_no_unknown_floor():
    row = cells(report({"ours": [run(2.0), run(4.0)]}, device="cpu", peak=None))["ours"]
    assert (row["s"], row["min CPU s"]) == ("3.00", "4.00")
    assert "floor / time" not in row
    assert cells(report({"ours": [run(2.0)]}, dtype="fp32"))["ours"]["floor / time"] == "–"


@pytest.mark.parametrize(
    ("result", "order", "status"),
    [
        (run(1.0), ["ours", "ours compiled", "ours compiled", "ours"], 0),
        ({"problem": "out of memory"}, ["ours", "ours compiled", "ours"], 0),
        ({"problem": "failed with status 1"}, ["ours", "ours compiled", "ours"], 1),
    ],
)
def test_order_flips_and_what_has_failed_is_not_tried_again(result, order, status, monkeypatch, capsys):
    names = []

    def fake_run(name, *_):
        names.append(name)
        return result if name == "ours compiled" else run(1.0)

    monkeypatch.setattr(unet, "_run", fake_run)
    assert unet.main("--device cpu --compile --small --sizes 64x64 --frames 2 --runs 2".split()) == status
    assert names == order
    assert result.get("problem", "1.00") in capsys.readouterr().out


@pytest.mark.parametrize("shape", ["2x9x16x40x64", "2x9x16x30x70", "2x9x16x16x16"])
def test_counted_flops_are_the_references_less_the_text_of_every_frame_but_one(shape):
    expected = golden_data.values("flops")["inputs"][shape]
    videos, _, frames, *_ = sample = tuple(expected["sample_shape"])
    counted = worker.count_flops(sample)
    # Keys and values of the text, in 5, 5 and 6 transformers.
    text = videos * (frames - 1) * 77 * 768 * 2 * 2 * (5 * 320 + 5 * 640 + 6 * 1280)
    assert expected["total"] - counted == text
    if shape != "2x9x16x16x16":  # hardly larger than its text
        assert counted == pytest.approx(expected["total"], rel=0.02)


@pytest.mark.parametrize("mask_rows", [0, 1, 6])
def test_stand_in_for_xformers_is_the_official_explicit_attention(mask_rows):
    torch.manual_seed(0)
    heads, batch = 3, 2
    query, key, value = (torch.randn(batch * heads, tokens, 8) for tokens in (5, 7, 7))
    mask = torch.randn(mask_rows, 1, 7) if mask_rows else None
    scores = 0.3 * query @ key.transpose(1, 2) + (0 if mask is None else mask)
    explicit = (scores.softmax(-1) @ value).unflatten(0, (batch, heads)).transpose(1, 2).flatten(2)

    block = torch.nn.Module()
    block.attn1, block.attn2, block.attn_temp = (torch.nn.Identity() for _ in range(3))
    block.attn1.heads, block.attn1.scale = heads, 0.3
    worker.use_sdpa(torch.nn.ModuleList([block]))
    assert torch.allclose(block.attn1._attention(query, key, value, mask), explicit, atol=1e-6)
    assert not hasattr(block.attn_temp, "_attention")


@pytest.mark.parametrize(("frames", "starts"), [(5, [0]), (16, [0]), (17, [0, 1]), (28, [0, 12]), (30, [0, 12, 14])])
def test_windows_cover_a_clip_and_are_averaged(frames, starts):
    seen = []

    class Places(torch.nn.Module):
        def forward(self, latents, timestep, context):
            seen.append(int(latents[0, 0, 0, 0, 0]))
            return latents[:, :4]

    latents = torch.arange(frames).float().reshape(1, 1, -1, 1, 1).expand(2, 9, -1, 2, 2)
    assert torch.equal(worker.InWindows(Places())(latents, None, None), latents[:, :4])
    assert seen == starts


def test_growth_is_drawn_by_frames_and_by_pixels(tmp_path, monkeypatch):
    settings = [
        {"size": size, "frames": frames, "runs": {"ours": [run(frames * size[0]), run(frames * size[0])]}}
        for size in ((64, 64), (128, 64))
        for frames in (16, 8)
    ]
    settings.append({"size": (64, 64), "frames": 32, "runs": {"ours": [{"problem": "out of memory"}]}})
    grown = {"settings": settings, "device_name": "Some H200", "versions": {"torch": "2.0"}}
    assert growth.curves(grown, "seconds") == {
        "frames": {"64x64, ours": [(8, 512), (16, 1024)], "128x64, ours": [(8, 1024), (16, 2048)]},
        "pixels": {"16 frames, ours": [(4096, 1024), (8192, 2048)], "8 frames, ours": [(4096, 512), (8192, 1024)]},
    }
    assert growth.curves(grown, "peak_bytes")["frames"]["64x64, ours"] == [(8, 1), (16, 1)]
    files = [tmp_path / f"{number}.json" for number in range(2)]
    for file, part in zip(files, (settings[:2], settings[2:]), strict=True):
        file.write_text(json.dumps(grown | {"settings": part}))
    drawn = []
    monkeypatch.setattr(growth, "draw", lambda report, file: drawn.append(report))
    monkeypatch.setattr("sys.argv", ["growth.py", *map(str, files), str(tmp_path / "growth.png")])
    assert growth.main() == 0 and [len(report["settings"]) for report in drawn] == [5]
    monkeypatch.undo()
    growth.draw(grown, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_worker_measures_ours(capsys, tmp_path):
    file = tmp_path / "runs.json"
    command = (
        "--device cpu --small --sizes 64x72 --frames 2 --videos 2 --dtype bf16 --runs 1 --threads 1 --json".split()
    )
    assert unet.main([*command, str(file)]) == 0
    assert "| 64x72 | 2 | 2 | bf16 | ours |" in capsys.readouterr().out
    (setting,) = json.loads(file.read_text())["settings"]
    (measured,) = setting["runs"]["ours"]
    assert setting["sample"] == [4, 9, 2, 9, 8]
    assert measured["seconds"] > 0 and measured["peak_bytes"] > 2**26


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to"), None])
def test_worker_reports_only_a_lack_of_memory(error, monkeypatch, capsys):
    def fail(**_):
        raise error or RuntimeError("shapes do not fit")

    monkeypatch.setattr(worker, "measure", fail)
    if error is None:
        with pytest.raises(RuntimeError, match="shapes"):
            worker.main(['{"device": "cpu"}'])
    else:
        assert worker.main(['{"device": "cpu"}']) == 0
        assert json.loads(capsys.readouterr().out)["problem"] == "out of memory"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--sizes 500x320", "multiples of 8"),
        ("--sizes wide", "WIDTHxHEIGHT"),
        ("--runs 0", "at least 1"),
        ("--check", "needs --official"),
        ("--official no-such-folder", "models/unet.py"),
    ],
)
def test_unusable_arguments_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit):
        unet.parse_arguments(["--device", "cpu", *arguments.split()])
    assert words in capsys.readouterr().err


def test_cuda_is_refused_where_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(unet, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    with pytest.raises(SystemExit):
        unet.parse_arguments(["--device", "cuda"])
    assert "no CUDA device" in capsys.readouterr().err


def test_a_failed_run_says_what_failed(capfd):
    options = SimpleNamespace(device="cpu", threads=1, official=None, small=True, autotune=False)
    failed = unet._run("ours", (2, 9, 2, 8, 8), "no dtype|at all", options)
    assert failed == {"problem": "failed with status 1: KeyError: 'no dtype/at all'"}
    assert "Traceback" in capfd.readouterr().err
