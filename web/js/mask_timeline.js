/** The clip's timeline on SEINE Mask Builder: kept frames are bright; a click or a drag keeps frames or frees them. */

import { app } from "../../../scripts/app.js"
import { INPUTS, keptFrames, painted, widgetsFor } from "./frame_mask.js"
import { FrameStrip } from "./frame_strip.js"
import { watch } from "./node_changes.js"
import { isWired, setWidget, showWidgets, widgetValues } from "./node_widgets.js"
import { texts } from "./timeline_texts.js"

const NODE = "SEINEMaskBuilder"

function look(node) {
  const values = widgetValues(node, INPUTS)
  const words = texts()
  const unknown = INPUTS.find((name) => values[name] === null)
  if (unknown) return { frames: 0, kept: new Set(), pictures: [], text: words.wired(unknown) }
  const { frames } = values
  const { kept, problem } = keptFrames(...INPUTS.map((name) => values[name]))
  return {
    frames: problem?.kind === "too long" ? 0 : frames,
    kept,
    pictures: [],
    text: problem ? words[problem.kind](problem.value, frames) : words.summary(kept.size, frames - kept.size),
    problem: !!problem,
    editable: !INPUTS.some((name) => isWired(node, name))
  }
}

function addTimeline(node) {
  const strip = new FrameStrip(node, {
    look: () => look(node),
    press(start) {
      if (!strip.view.editable) return null
      const { kept } = strip.view
      const written = widgetValues(node, ["indices"]).indices
      const keep = !kept.has(start)
      let end = start
      return {
        show(to) {
          end = to
          const now = painted(kept, start, end, keep)
          return { ...strip.view, kept: now, text: texts().summary(now.size, strip.view.frames - now.size) }
        },
        done() {
          const { mode, indices = written } = widgetsFor(painted(kept, start, end, keep))
          setWidget(node, "indices", indices)
          setWidget(node, "mode", mode)
        }
      }
    },
    tell(frame) {
      const words = texts()
      const state = strip.view.kept.has(frame) ? words.kept : words.generated
      return `${frame}: ${state}` + (strip.view.editable ? ` (${words.mayToggle})` : "")
    }
  })
  watch(node, () => {
    const { mode } = widgetValues(node, ["mode"])
    const listed = mode === "custom keyframes"
    const wired = mode === null
    showWidgets(node, { count: wired || !(listed || mode === "text to video"), indices: wired || listed })
    strip.refresh()
  })
}

app.registerExtension({
  name: "SEINE.MaskTimeline",
  nodeCreated(node) {
    if (node.comfyClass === NODE) addTimeline(node)
  }
})
