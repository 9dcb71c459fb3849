"""The workflow that makes many clips: a folder of pairs of images, a transition of each, one in every run."""

from __future__ import annotations

from tools.authoring.graph_formats import Step, Workflow

SOURCE, SAVED = "pairs", "transitions"
"""Folders of the graph: below the host's input folder, and below its output folder."""

BATCH_NOTE = f"""### One run, one transition
Make a folder **{SOURCE}** in ComfyUI's input folder, and in it a sub-folder for each transition, with its first and \
its last image:

- {SOURCE}/**a_day_becomes_night**/1.png, 2.png
- {SOURCE}/**spring_turns_into_winter**/a.jpg, b.jpg

The sub-folder's name is the prompt, and the clip's name in output/{SAVED}.

Set the number beside **Run** to the number of sub-folders. **index** goes up by one with every run, each clip is \
saved at once, and a pair that cannot be read stops no other. Set **index** to 0 to begin anew.

Single images, or a table with a prompt for each clip: see the help of *SEINE Load Batch*."""


def transitions(clip: Workflow) -> Workflow:
    """`clip` (load, describe, sample, decode; no images) of the pair whose turn it is. Its name is at "name"."""
    clip.steps["batch"] = Step(
        "SEINELoadBatch",
        (440, 480),
        (380, 330),
        {"source": SOURCE, "take": "one each run", "index": 0, "prompt": ""},
    )
    clip.steps["name"] = Step(
        "StringConcatenate",
        (1690, 760),
        (340, 220),
        {"string_a": f"{SAVED}/", "string_b": ("batch", 3), "delimiter": ""},
        "File name",
    )
    clip.steps["positive"].inputs["text"] = ("batch", 2)
    clip.steps["clip"].inputs |= {"first_image": ("batch", 0), "last_image": ("batch", 1)}
    clip.groups += [("Batch", 420, 420, 420, 410, "#8A8"), ("Name", 1670, 700, 380, 300, "#b58b2a")]
    clip.notes.append((BATCH_NOTE, 860, 660, 380, 420))
    return clip
