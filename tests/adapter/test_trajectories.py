"""ComfyUI's own samplers, given SEINE's MODEL, SIGMAS and SAMPLER, walk the reference's trajectories."""

from tests import golden_data as golden


def test_host_sampling_is_the_reference_s(run_in_host, tmp_path):
    folder = golden.SHARED / "golden" if (golden.SHARED / "golden").is_dir() else golden.HERE
    recordings = sorted(str(file) for file in folder.glob("sampler_*.safetensors"))
    assert len(recordings) >= 2
    results = run_in_host("trajectories.py", golden=str(golden.HERE), recordings=recordings, folder=str(tmp_path))
    assert len(results) >= 4
    for name, result in results.items():
        assert result["steps"] in (8, 25)
        assert result["x"] <= 2e-3, f"{name}: {result}"
        assert result["x0"] <= 1e-2, f"{name}: {result}"
