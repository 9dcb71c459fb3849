/** The clip's timeline on SEINE Mask Builder: kept frames as bright cells with their number, generated ones as dark. */

import { app } from "../../../scripts/app.js"
import { keptFrames, MOST_FRAMES } from "./frame_mask.js"

const NODE = "SEINEMaskBuilder"
const INPUTS = ["mode", "count", "indices", "frames"]
const KEPT = "#ffc43d"
const GENERATED = "#4a4f5c"
const PROBLEM = "#ff7b72"
const BAR = 18
const LABELS = 14
const HEIGHT = BAR + 2 * LABELS + 4
const FONT = "11px sans-serif"

const TEXTS = {
  en: {
    summary: (kept, generated) => `${kept} kept, ${generated} generated`,
    "not numbers": () => "indices: whole numbers separated by commas, such as 0, 7, -1",
    outside: (index, frames) => `keyframe ${index} is outside the clip (0 to ${frames - 1})`,
    "too many": (needed, frames) => `${needed} frames to keep, but the clip has ${frames}`,
    "too long": () => `frames: a number from 1 to ${MOST_FRAMES}`
  },
  zh: {
    summary: (kept, generated) => `保留 ${kept} 帧，生成 ${generated} 帧`,
    "not numbers": () => "indices：用逗号分隔的整数，例如 0, 7, -1",
    outside: (index, frames) => `关键帧 ${index} 超出短片范围（0 到 ${frames - 1}）`,
    "too many": (needed, frames) => `要保留 ${needed} 帧，但短片只有 ${frames} 帧`,
    "too long": () => `frames：1 到 ${MOST_FRAMES} 之间的整数`
  }
}

function texts() {
  const locale = app.extensionManager?.setting?.get("Comfy.Locale") ?? "en"
  return TEXTS[locale.split("-")[0]] ?? TEXTS.en
}

/** Draw the timeline into a canvas as wide as its element; returns the line of text below the bar. */
function draw(canvas, values) {
  const { mode, count, indices, frames } = values
  const { kept, problem } = keptFrames(mode, count, indices, frames)
  const words = texts()
  const text = problem ? words[problem.kind](problem.value, frames) : words.summary(kept.size, frames - kept.size)
  canvas.title = text

  const width = canvas.clientWidth
  if (!width) return
  const scale = window.devicePixelRatio || 1
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(HEIGHT * scale)
  const context = canvas.getContext("2d")
  context.scale(scale, scale)
  context.font = FONT

  const drawn = problem?.kind === "too long" ? 1 : frames
  const cell = width / drawn
  const gap = cell > 6 ? 1.5 : 0
  context.fillStyle = GENERATED
  for (let frame = 0; frame < drawn; frame++) {
    if (!kept.has(frame)) context.fillRect(frame * cell, 0, Math.max(cell - gap, 0.5), BAR)
  }
  // A kept frame of a long clip is narrower than a pixel; it stays visible.
  context.fillStyle = KEPT
  let labelled = -Infinity
  for (const frame of [...kept].sort((a, b) => a - b)) {
    context.fillRect(frame * cell, 0, Math.max(cell - gap, 2), BAR)
    const label = String(frame)
    const labelWidth = context.measureText(label).width
    const left = Math.min(Math.max(frame * cell + (cell - labelWidth) / 2, 0), width - labelWidth)
    if (left > labelled + 4) {
      context.fillText(label, left, BAR + LABELS - 2)
      labelled = left + labelWidth
    }
  }
  context.fillStyle = problem ? PROBLEM : getComputedStyle(canvas).color
  context.fillText(text, 0, BAR + 2 * LABELS, width)
}

function addTimeline(node) {
  const canvas = document.createElement("canvas")
  canvas.className = "seine-timeline"
  canvas.style.cssText = `display: block; width: 100%; height: ${HEIGHT}px; color: var(--input-text, #ddd)`

  const widgets = INPUTS.map((name) => node.widgets.find((widget) => widget.name === name))
  const redraw = () => {
    draw(canvas, Object.fromEntries(widgets.map((widget) => [widget.name, widget.value])))
  }
  for (const widget of widgets) {
    const changed = widget.callback
    widget.callback = function (...given) {
      const result = changed?.apply(this, given)
      redraw()
      return result
    }
  }
  const configured = node.onConfigure
  node.onConfigure = function (...given) {
    configured?.apply(this, given)
    redraw()
  }
  const size = () => HEIGHT
  node.addDOMWidget("timeline", "seine_timeline", canvas, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: size,
    getMaxHeight: size
  }).serialize = false
  // A new node was measured before it had the timeline; a loaded one gets its saved size after this.
  const bottom = node.computeSize()[1]
  if (node.size[1] < bottom) node.setSize([node.size[0], bottom])
  new ResizeObserver(redraw).observe(canvas)
}

app.registerExtension({
  name: "SEINE.MaskTimeline",
  nodeCreated(node) {
    if (node.comfyClass === NODE) addTimeline(node)
  }
})
