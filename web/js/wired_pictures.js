/** What is known, before a run, of the pictures that wires bring to a node: how many they are and how they look. */

import { api } from "../../../scripts/api.js"

const BATCHING = ["ImageBatch", "BatchImagesNode"]
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
  if (file) return [file]
  if (origin && BATCHING.includes(origin.type) && steps) {
    const parts = imageInputs(origin).map((input) => picturesOf(origin, input.name, false, steps - 1))
    return parts.includes(null) ? null : parts.flat()
  }
  // A node that changes one picture, such as a crop or a scaling, still shows which one it is.
  const inputs = origin ? imageInputs(origin).filter((input) => input.link != null) : []
  const before = inputs.length === 1 && steps ? picturesOf(origin, inputs[0].name, single, steps - 1) : null
  return before?.length === 1 ? before : single ? [null] : null
}

function imageInputs(node) {
  return (node.inputs ?? []).filter((input) => input.type === "IMAGE")
}

/** Where the interface shows the file from that a node such as Load Image has chosen; null for other nodes. */
function fileOf(node) {
  if (!/^LoadImage/.test(node.type)) return null
  const value = node.widgets?.find((widget) => widget.name === "image")?.value
  const found = typeof value === "string" && /^(?:(.*)\/)?([^/]+?)(?: \[(input|output|temp)\])?$/.exec(value)
  if (!found) return null
  const [, subfolder = "", filename, type = "input"] = found
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`)
}
