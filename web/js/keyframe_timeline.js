/** The clip's timeline on SEINE Image to Video: where wired pictures go; those between the ends can be dragged. */

import { app } from "../../../scripts/app.js"
import { INPUTS, keptFrames, MOST_FRAMES, parseIndices } from "./frame_mask.js"
import { FrameStrip } from "./frame_strip.js"
import { assigned, movedPlaces, places } from "./keyframe_places.js"
import { watch } from "./node_changes.js"
import { isWired, setWidget, showWidgets, widgetValues } from "./node_widgets.js"
import { thumbnail } from "./thumbnails.js"
import { texts } from "./timeline_texts.js"
import { picturesOf, wiredNode } from "./wired_pictures.js"

const NODE = "SEINEImageToVideo"
const GROWING = "more_keyframes."

/** All wired pictures in order, and how many are at the ends and between; between: null where only the run tells. */
function wiredPictures(node, text) {
  const named = (input, single) => picturesOf(node, input, single)?.map((address) => ({ input, address })) ?? null
  const first = named("first_image", true)
  const last = named("last_image", true)
  const more = node.inputs.filter(({ name }) => name.startsWith(GROWING)).flatMap(({ name }) => named(name, true))
  const batch = named("keyframes", false) ?? unknownBatch(text, more.length)
  const between = batch && [...more, ...batch]
  return {
    pictures: [...first, ...(between ?? []), ...last],
    first: first.length,
    last: last.length,
    between: between?.length ?? null
  }
}

/** A batch of unknown length has as many pictures as keyframe_places has frames for it. */
function unknownBatch(text, others) {
  const named = parseIndices(text)?.length ?? 0
  return named > others ? Array(named - others).fill({ input: "keyframes", address: null }) : null
}

function shortName(input) {
  return input.replace(GROWING, "").replace("keyframe", "").replace("_image", "")
}

/** What the node makes of its wires, as far as it can be told before a run. */
function arrangement(node, written) {
  const { frames, keyframe_places: own } = widgetValues(node, ["frames", "keyframe_places"])
  const text = written ?? own
  const wired = wiredPictures(node, text ?? "")
  const mask = wiredNode(node, "mask", "MASK")
  if (mask) return { ...wired, ...byMask(mask.node, wired.pictures), masked: true, locked: true }
  const nothing = { ...wired, frames: 0, taken: [] }
  if (frames === null || text === null) return { ...nothing, unknown: frames === null ? "frames" : "keyframe_places" }
  if (!(frames >= 1 && frames <= MOST_FRAMES)) return { ...nothing, problem: { kind: "too long" } }
  const known = wired.between !== null
  const between = wired.between ?? 0
  const { taken, problem } = places(frames, between, known ? text : "", wired.first, wired.last)
  const locked = !known || isWired(node, "keyframe_places")
  if (!problem) return { ...wired, frames, taken, note: known ? null : "batch decides", locked }
  // What is written does not fit: the pictures wait where they would be without it, to be dragged from there.
  const spread = places(frames, between, "", wired.first, wired.last)
  return { ...wired, frames, taken: spread.taken, problem, locked }
}

function byMask(builder, pictures) {
  const values = builder?.comfyClass === "SEINEMaskBuilder" ? widgetValues(builder, INPUTS) : { mode: null }
  const { kept, problem } = keptFrames(...INPUTS.map((name) => values[name]))
  if (problem || Object.values(values).includes(null)) return { frames: 0, taken: [], note: "mask decides" }
  const sorted = [...kept].sort((a, b) => a - b)
  const shown = assigned(kept, values.frames, pictures.length)
  const unfit = !shown && { kind: "not assigned", value: sorted.length }
  return { frames: values.frames, kept, taken: shown ? sorted : [], shown, problem: unfit || null }
}

/** What there is to see; `written`: with this in keyframe_places instead of what is there. */
function look(node, ready, written = null) {
  const all = arrangement(node, written)
  const { frames, taken, pictures, problem } = all
  const words = texts()
  const kept = new Set(all.kept ?? taken)
  const movable = (index) => !all.locked && index >= all.first && index < taken.length - all.last
  const shown = taken.map((frame, index) => {
    const { input, address } = pictures[all.shown ? all.shown[index] : index]
    const image = address ? thumbnail(address, ready) : null
    return { frame, input, label: shortName(input), image, movable: movable(index) }
  })
  let text = kept.size ? words.summary(kept.size, frames - kept.size) : words["no picture"](frames)
  if (all.note) text = words[all.note]()
  if (all.unknown) text = words.wired(all.unknown)
  if (problem) text = words[problem.kind](problem.value, frames, all.kept ? pictures.length : all.between)
  return { frames, kept, pictures: shown, text, problem: !!problem, editable: false, all }
}

function shownWidgets({ all }, text) {
  return { frames: !all.masked, keyframe_places: text !== "" || (!all.masked && all.between !== 0) }
}

function addTimeline(node) {
  const ready = () => node.graph && strip.refresh()
  const strip = new FrameStrip(node, {
    look: () => look(node, ready),
    press(frame, picture) {
      const { all, pictures } = strip.view
      const taken = picture ?? pictures.findIndex((each) => each.frame === frame)
      if (!pictures[taken]?.movable) return null
      let written = null
      return {
        show(to) {
          if (to !== all.taken[taken] || written !== null) {
            written = movedPlaces(all.taken, taken, to, all.first, all.last) ?? written
          }
          return look(node, ready, written)
        },
        done: () => written !== null && setWidget(node, "keyframe_places", written)
      }
    },
    tell(frame, picture) {
      const words = texts()
      const shown = strip.view.pictures[picture] ?? strip.view.pictures.find((each) => each.frame === frame)
      if (!shown) return `${frame}: ${words.generated}`
      return `${shown.frame}: ${shown.input}` + (shown.movable ? ` (${words.mayMove})` : "")
    }
  })
  watch(node, () => {
    strip.refresh()
    showWidgets(node, shownWidgets(strip.view, widgetValues(node, ["keyframe_places"]).keyframe_places))
  })
}

app.registerExtension({
  name: "SEINE.KeyframeTimeline",
  nodeCreated(node) {
    if (node.comfyClass === NODE) addTimeline(node)
  }
})
