/** What is known, before a run, of the pictures that wires bring to a node: how many they are and how they look. */

import { api } from "../../../scripts/api.js"

const BATCHING = ["ImageBatch", "BatchImagesNode"]
/** ComfyUI's nodes that give one picture for each they get, and still show which one it is; a test runs them. */
export const ONE_FOR_ONE = new Set([
  ...["ImageScale", "ImageScaleBy", "ImageScaleToTotalPixels", "ImageScaleToMaxDimension", "ResizeAndPadImage"],
  ...["ResizeImagesByLongerEdge", "ResizeImagesByShorterEdge", "ImageUpscaleWithModel", "FluxKontextImageScale"],
  ...["ImageCrop", "ImageCropV2", "CenterCropImages", "RandomCropImages", "ImagePadForOutpaint"],
  ...["ImageFlip", "ImageRotate", "ImageInvert", "ImageBlur", "ImageSharpen", "ImageQuantize", "ImageAddNoise"],
  ...["AdjustBrightness", "AdjustContrast", "NormalizeImages", "Morphology", "Canny", "TextOverlay", "LTXVPreprocess"],
  "SplitImageWithAlpha"
])
/** Load Image gives all frames of these. */
const ANIMATED = /\.(gif|apng)$/i
const MOST_STEPS = 32
const MUTED = 2
const BYPASSED = 4

/**
 * The node at the other end of an input's wire, past reroutes and bypassed nodes.
 *
 * @returns {{node: object | null} | null} null for no wire, or one that ends at a muted node; `node: null` for one from
 *   outside a subgraph
 */
export function wiredNode(node, name, type) {
  let index = node.inputs?.findIndex((input) => input.name === name) ?? -1
  for (let step = 0; step < MOST_STEPS; step++) {
    const link = node.inputs?.[index]?.link
    if (link === null || link === undefined) return null
    const origin = node.getInputNode(index)
    if (!origin || origin.mode === MUTED) return origin ? null : { node: null }
    if (origin.mode !== BYPASSED && origin.type !== "Reroute") return { node: origin }
    index = origin.inputs?.findIndex((input) => origin.type === "Reroute" || input.type === type) ?? -1
    node = origin
  }
  return null
}

/**
 * The pictures of one input, each as the address of its file, or null where only the run will show it.
 *
 * @returns {(string | null)[] | null} null for a batch of which only the run will tell how many they are
 */
export function picturesOf(node, name, single, steps = MOST_STEPS) {
  const wired = wiredNode(node, name, "IMAGE")
  if (!wired) return []
  const origin = wired.node
  const file = origin && fileOf(origin)
  if (file) return single || !ANIMATED.test(file.filename) ? [addressOf(file)] : null
  if (origin && BATCHING.includes(origin.type) && steps) {
    const parts = imageInputs(origin).map((input) => picturesOf(origin, input.name, false, steps - 1))
    return parts.includes(null) ? null : parts.flat()
  }
  const inputs = origin && ONE_FOR_ONE.has(origin.type) && steps ? imageInputs(origin) : []
  const before = inputs.length === 1 ? picturesOf(origin, inputs[0].name, single, steps - 1) : null
  if (before?.length === 1 || (before?.length && !single)) return before
  return single ? [null] : null
}

function imageInputs(node) {
  return (node.inputs ?? []).filter((input) => input.type === "IMAGE")
}

/** The file that a node such as Load Image has chosen; null for other nodes. */
function fileOf(node) {
  if (!/^LoadImage/.test(node.type)) return null
  const value = node.widgets?.find((widget) => widget.name === "image")?.value
  const found = typeof value === "string" && /^(?:(.*)\/)?([^/]+?)(?: \[(input|output|temp)\])?$/.exec(value)
  if (!found) return null
  const [, subfolder = "", filename, type = "input"] = found
  return { filename, subfolder, type }
}

/** Where the interface shows it from. */
function addressOf(file) {
  return api.apiURL(`/view?${new URLSearchParams(file)}`)
}
