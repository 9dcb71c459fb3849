import pytest
import torch

from seine_model.seams import meet_kept_frames


def clip(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 4, 2, 3).contiguous()


def met(made, kept, given):
    mask = torch.ones(len(made))
    mask[list(kept)] = 0
    result = meet_kept_frames(clip(*made), mask, clip(*given))
    assert (result == result[:, :1, :1, :1]).all()
    return result[:, 0, 0, 0].tolist()


def test_frames_beside_kept_ones_join_them_and_the_farthest_stay_nearly_as_they_were():
    # 4 at the kept frame, 3, 2 and 1 behind it; the clip itself moves evenly.
    assert met([9, 9, 10, 11, 12], (0, 1), [5, 13, 0, 0, 0]) == [5, 13, 13, 13, 13]
    assert met([1, 2, 3, 4], (3,), [0, 0, 0, 8]) == [2, 4, 6, 8]


def test_between_kept_frames_one_error_becomes_the_other():
    assert met([0, 0, 0, 0, 0], (0, 4), [4, 9, 9, 9, -4]) == [4, 2, 0, -2, -4]


def test_a_step_that_is_not_motion_is_taken_away():
    # A still, of which the generated frames are 4 lighter than the kept one.
    assert met([1, 5, 5, 5], (0,), [1, 0, 0, 0]) == [1, 2, pytest.approx(5 - 4 / 2), 4]
    # Half of the step goes on as motion.
    assert met([0, 4, 6, 8], (0,), [0, 0, 0, 0]) == [0, 2.5, 5, 7.5]


def test_kept_frames_anywhere_are_exactly_as_given():
    assert met([1, 1, 1, 1, 1], (2,), [0, 0, 0.1, 0, 0])[2] == torch.tensor(0.1).item()


def test_without_kept_frames_nothing_changes():
    assert met([1, 2, 3], (), [9, 9, 9]) == [1, 2, 3]


def test_a_single_generated_frame_meets_both_its_neighbours():
    assert met([0, 0, 0], (0, 2), [2, 9, 4]) == [2, 3, 4]
