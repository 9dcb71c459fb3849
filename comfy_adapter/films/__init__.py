"""Films longer than the model's clips: continued, closed to loops, told as stories, and found again where they were."""
