"""The harness itself: servers, clients and processes of every host behave as the other tests expect."""

from __future__ import annotations

import pytest

from tools.hosting import environment, hosts, workflow_graph
from tools.hosting.client import ExecutionFailed, Interrupted, ValidationFailed
from tools.hosting.forks import HostForks
from tools.hosting.server import REPOSITORY, ComfyServer, ServerError

NODES = {
    "SEINEModelLoader": ["model_name", "weight_dtype"],
    "SEINECheckpointLoader": ["model_name", "base_name", "weight_dtype"],
    "SEINEMaskBuilder": ["mode", "count", "indices", "frames", "width", "height"],
    "SEINEImageToVideo": [
        *("positive", "negative", "vae", "width", "height", "resize_mode", "batch_size"),
        *("first_image", "last_image", "more_keyframes", "mask", "keyframes", "frames", "keyframe_places"),
    ],
    "SEINEKSampler": [
        *("model", "positive", "negative", "latent_image", "seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("denoise", "mask"),
    ],
    "SEINEScheduler": ["model", "steps", "denoise"],
    "SEINESamplerDDPM": [],
    "SEINEVAEDecode": ["samples", "vae", "frames_at_a_time", "tiled", "tile_size"],
}


def empty_images(count: int = 1, width: int = 16) -> workflow_graph.Graph:
    """A graph of core nodes that makes and saves blank images."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": width, "height": 16, "batch_size": count, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "blank"}},
    }


def choices(client, node_type: str, name: str) -> list[str]:
    kind, options = client.object_info(node_type)["input"]["required"][name]
    return options["options"] if kind == "COMBO" else kind


@pytest.mark.parametrize("node_type", NODES)
def test_server_has_the_node_with_its_inputs(client, node_type):
    info = client.object_info(node_type)
    assert info["category"] == "SEINE"
    inputs = {**info["input"]["required"], **info["input"].get("optional", {})}
    assert list(inputs) == NODES[node_type]
    assert [name for name, (_, options) in inputs.items() if not options.get("tooltip")] == []


def test_a_new_file_is_a_choice_at_once(server):
    before = choices(server.client, "SEINEModelLoader", "model_name")
    new = server.models / "seine" / "arrived-later.safetensors"
    new.touch()
    try:
        assert set(choices(server.client, "SEINEModelLoader", "model_name")) == {*before, new.name}
    finally:
        new.unlink()


def test_run_reports_progress_and_files(client):
    events = []
    outputs = client.run(empty_images(count=2, width=24), events.append)
    files = client.files(outputs)
    assert len(files) == 2
    assert client.fetch(files[0]).startswith(b"\x89PNG")
    assert [event.node_type for event in events] == ["EmptyImage", "SaveImage"]


def test_refused_graph_names_node_and_input(client):
    graph = empty_images()
    graph["1"]["inputs"]["width"] = 0
    with pytest.raises(ValidationFailed, match=r"EmptyImage \(node 1\).*smaller than min.*width"):
        client.run(graph)


def test_failing_node_is_named_and_the_server_goes_on(client):
    graph = empty_images()
    graph["2"]["inputs"]["filename_prefix"] = "../outside"
    with pytest.raises(ExecutionFailed, match="outside the output folder") as failure:
        client.run(graph)
    assert (failure.value.node_id, failure.value.node_type) == ("2", "SaveImage")
    assert len(client.files(client.run(empty_images(count=3)))) == 3


def test_interrupting(client):
    # The node count makes the run long enough to be caught in the middle.
    graph = {
        str(i): {"class_type": "EmptyImage", "inputs": {"width": 512, "height": 256 + i, "batch_size": 2, "color": 0}}
        for i in range(40)
    }
    for i in range(40):
        graph[f"p{i}"] = {"class_type": "PreviewImage", "inputs": {"images": [str(i), 0]}}
    with pytest.raises(Interrupted):
        client.run(graph, lambda _: client.interrupt())


def test_uploaded_image_can_be_loaded(client, tmp_path):
    from PIL import Image

    Image.new("RGB", (16, 8), "red").save(tmp_path / "red square.png")
    name = client.upload_image("red square.png", tmp_path / "red square.png")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    assert len(client.files(client.run(graph))) == 1


def test_in_host_process(run_in_host, host):
    answer = run_in_host("describe.py", greeting="good day")
    assert answer["greeting"] == "good day"
    assert answer["device"] == "cpu"
    assert answer["pack"] == str(REPOSITORY)
    assert not answer["models"].startswith(str(host.folder))


def test_failure_in_host_shows_the_traceback(run_in_host):
    with pytest.raises(AssertionError, match="unexpected keyword argument 'salute'"):
        run_in_host("describe.py", salute="no such argument")


def test_each_script_has_a_process_of_its_own(run_in_host):
    assert run_in_host("leaving.py") == run_in_host("leaving.py") == {"found": False}
    with pytest.raises(AssertionError, match=r"ended the .* \(exit code 7\):\nlast words"):
        run_in_host("leaving.py", code=7)
    assert run_in_host("leaving.py") == {"found": False}


def test_a_script_that_takes_too_long_is_stopped(host, tmp_path):
    script = tmp_path / "endless.py"
    script.write_text("def main():\n    while True:\n        pass\n")
    with HostForks(host, tmp_path) as forks, pytest.raises(AssertionError, match="stopped after 0 s"):
        forks.run(script, timeout=0)


def test_server_that_cannot_start_shows_its_log(host, tmp_path):
    with pytest.raises(ServerError, match="unrecognized arguments: --no-such-option"):
        ComfyServer(host, tmp_path, extra_args=["--no-such-option"]).start()


def test_wrong_comfyui_path_says_what_is_wanted(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(hosts.HostNotFound, match="COMFYUI_PATH.*main.py and comfy_api/v0_0_2"):
        hosts.find_modern()


def test_comfyui_of_the_user_is_taken_with_the_python_beside_it(monkeypatch, tmp_path):
    folder = tmp_path / "ComfyUI"
    (folder / "comfy_api" / "v0_0_2").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text('__version__ = "9.8.7"\n')
    python = environment.python_in(tmp_path / ".venv")
    python.parent.mkdir(parents=True)
    python.symlink_to(environment.python_in(environment.venv_folder()))
    monkeypatch.setattr(hosts, "package_version", lambda *_: "2.0")
    monkeypatch.setenv("COMFYUI_PATH", str(folder))
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    host = hosts.find_modern()
    assert (host.version, host.python, host.users_own) == ("9.8.7", python, True)


def test_graph_with_inputs_changes_widgets_and_not_links():
    graph = empty_images()
    changed = workflow_graph.with_inputs(graph, width=32, images="no link")
    assert changed["1"]["inputs"]["width"] == 32
    assert changed["2"]["inputs"]["images"] == ["1", 0]
    assert graph["1"]["inputs"]["width"] == 16
    with pytest.raises(KeyError, match="no_such_input"):
        workflow_graph.with_inputs(graph, no_such_input=1)
