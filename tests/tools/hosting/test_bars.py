"""The progress bars of the commands."""

from tools.hosting.bars import PhaseBars


def test_every_phase_has_a_bar_that_comes_to_its_end(capsys):
    bars = PhaseBars(unit="%")
    for phase in ("writing", "verifying", "verifying"):  # the last begins again
        for value in (0, 50, 50, 100):
            bars.show(phase, value, 100)
    ends = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "100/100" in line]
    assert [line.split(":")[0] for line in ends] == ["writing", "verifying", "verifying"]


def test_a_bar_that_is_closed_early_stays_where_it_was(capsys):
    bars = PhaseBars()
    bars.show("sampling", 3, 10)
    bars.close()
    assert "3/10" in capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
