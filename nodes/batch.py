from __future__ import annotations

from comfy_api.v0_0_2 import io

from ..comfy_adapter import batches
from .checked import checked

ONE, ALL = "one each run", "all at once"


class SEINELoadBatch(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SEINELoadBatch",
            display_name="SEINE Load Batch",
            category="SEINE",
            description=(
                "Many clips from a folder of images, of pairs of images, or a table. One each run, with the number of "
                "runs beside the Run button: every clip is saved at once, and a bad one stops no other."
            ),
            search_aliases=[
                *("seine batch", "load images from folder", "folder", "csv", "batch transitions", "queue"),
                *("批量", "文件夹", "批处理"),
            ],
            inputs=[
                io.String.Input(
                    "source",
                    default="",
                    tooltip=(
                        "A folder, or a .csv or .jsonl file, below ComfyUI's input folder. Of a folder every image is "
                        "a clip, and every sub-folder with two images a transition."
                    ),
                ),
                io.Combo.Input(
                    "take",
                    options=[ONE, ALL],
                    default=ONE,
                    tooltip="One job of the source in each run, that of index; or all of them in one run, as lists.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=1_000_000,
                    control_after_generate="increment",
                    tooltip="Which job, counted from 0; it goes up with every run. For one each run.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    tooltip="For jobs that bring none. Empty: the name of the file or sub-folder, up to the first dot.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="first_image", is_output_list=True, tooltip="For first_image of SEINE Image to Video."
                ),
                io.Image.Output(
                    display_name="last_image",
                    is_output_list=True,
                    tooltip="For last_image; nothing where the clip has one image alone.",
                ),
                io.String.Output(display_name="prompt", is_output_list=True, tooltip="For CLIP Text Encode."),
                io.String.Output(
                    display_name="name", is_output_list=True, tooltip="Of the file or sub-folder, for a file's name."
                ),
                io.Int.Output(display_name="jobs", tooltip="How many there are: the number of runs to ask for."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, source: str | None = None, **_: object) -> str | None:
        return None if source is None else batches.state_of(source)

    @classmethod
    @checked
    def execute(cls, source: str, take: str, index: int, prompt: str) -> io.NodeOutput:
        jobs = batches.read_batch(source, prompt.strip())
        taken = [batches.job_at(jobs, each) for each in (range(len(jobs)) if take == ALL else [index])]
        return io.NodeOutput(
            [batches.picture(job.first) for job in taken],
            [None if job.last is None else batches.picture(job.last) for job in taken],
            [job.prompt for job in taken],
            [job.name for job in taken],
            len(jobs),
        )
