/**
 * Which frames a mask keeps, for the timeline on the node. The rules are those of seine_model/masks.py, which decides
 * when the graph runs; a test holds the two against each other.
 */

export const MOST_FRAMES = 4096

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
    const words = indices.replaceAll(",", " ").split(/\s+/).filter(Boolean)
    if (!words.length || !words.every((word) => /^[+-]?\d+$/.test(word))) return fail("not numbers", indices)
    for (const index of words.map(Number)) {
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
