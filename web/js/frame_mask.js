/**
 * Which frames a mask keeps, for the timeline on the node. The rules are those of seine_model/masks.py, which decides
 * when the graph runs; a test holds the two against each other.
 */

/** The mask builder's widgets that say it, as `keptFrames` takes them. */
export const INPUTS = ["mode", "count", "indices", "frames"]
export const MOST_FRAMES = 4096
const MOST_IN_A_RANGE = 10000

/** Whole numbers and ranges such as "0, 7, 12-15"; null for anything else. */
export function parseIndices(text) {
  const spaced = text.normalize("NFKC").replace(/[,;、،]/g, " ")
  const words = spaced.replace(/(\d)(\s*)(?:-|–|—|~|\.\.|到|至)\2(?=\d)/g, "$1~").split(/\s+/).filter(Boolean)
  const indices = []
  for (const word of words) {
    const found = /^([+-]?\d{1,9})(?:~(\d{1,9}))?$/.exec(word)
    if (!found) return null
    const first = Number(found[1])
    const last = Number(found[2] ?? found[1])
    if (last < first) return null
    if (last - first > MOST_IN_A_RANGE) indices.push(first, last)
    else for (let index = first; index <= last; index++) indices.push(index)
  }
  return indices.length ? indices : null
}

/**
 * @param {string} mode the mask builder's mode
 * @param {number} count kept frames at each chosen end
 * @param {string} indices custom keyframes, such as "0, 7, -1"
 * @param {number} frames length of the clip
 * @returns {{kept: Set<number>, problem: {kind: string, value: number | string} | null}}
 */
export function keptFrames(mode, count, indices, frames) {
  const kept = new Set()
  // What the node takes at most: beyond it there is nothing to draw, and counting would keep the page waiting.
  if (!(frames >= 1 && frames <= MOST_FRAMES)) return { kept, problem: { kind: "too long", value: frames } }
  const keep = (from, to) => {
    for (let frame = from; frame < to; frame++) kept.add(frame)
  }
  const fail = (kind, value) => ({ kept: new Set(), problem: { kind, value } })

  if (mode === "custom keyframes") {
    const named = parseIndices(indices)
    if (!named) return fail("not numbers", indices)
    for (const index of named) {
      if (index < -frames || index >= frames) return fail("outside", index)
      kept.add(index < 0 ? index + frames : index)
    }
  } else if (mode !== "text to video") {
    const first = mode.startsWith("first")
    const last = mode.endsWith("last frames")
    const needed = first && last ? 2 * count : count
    if (needed > frames) return fail("too many", needed)
    if (first) keep(0, count)
    if (last) keep(frames - count, frames)
  }
  return { kept, problem: null }
}

/** The shortest text that `parseIndices` reads as these frames, such as "0-3, 7, 15". */
export function writeIndices(frames) {
  const sorted = [...frames].sort((a, b) => a - b)
  const words = []
  for (let start = 0, end; start < sorted.length; start = end) {
    for (end = start + 1; sorted[end] === sorted[end - 1] + 1; ) end++
    if (end - start > 2) words.push(`${sorted[start]}-${sorted[end - 1]}`)
    else words.push(...sorted.slice(start, end))
  }
  return words.join(", ")
}

/** A copy of `kept` in which all frames between two are kept, or none of them. */
export function painted(kept, from, to, keep) {
  const result = new Set(kept)
  for (let frame = Math.min(from, to); frame <= Math.max(from, to); frame++) {
    if (keep) result.add(frame)
    else result.delete(frame)
  }
  return result
}

/**
 * The mask builder's widgets for these kept frames. No frame at all is a mode of its own: `indices` cannot be empty.
 *
 * @returns {{mode: string, indices?: string}}
 */
export function widgetsFor(kept) {
  return kept.size ? { mode: "custom keyframes", indices: writeIndices(kept) } : { mode: "text to video" }
}
