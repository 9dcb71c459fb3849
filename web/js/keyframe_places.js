/**
 * Which frames the pictures wired into SEINE Image to Video are. The rules are those of seine_model/placement.py and
 * seine_model/masks.py, which decide when the graph runs; tests hold them against each other.
 */

import { parseIndices } from "./frame_mask.js"

/**
 * @param {number} frames length of the clip
 * @param {number} between pictures that are neither first nor last
 * @param {string} text their frames; spread evenly where it is empty
 * @param {number} first pictures at the start
 * @param {number} last pictures at the end
 * @returns {{taken: number[], problem: {kind: string, value?: number} | null}} frames in the order of the pictures
 */
export function places(frames, between, text, first, last) {
  const fail = (kind, value) => ({ taken: [], problem: { kind, value } })
  if (first + last > frames) return fail("too many pictures", first + last)
  let middle
  if (text.trim()) {
    const named = parseIndices(text)
    if (!named) return fail("not places")
    if (named.length !== between) return fail("other number", named.length)
    const outside = named.find((frame) => frame < -frames || frame >= frames)
    if (outside !== undefined) return fail("outside", outside)
    middle = named.map((frame) => (frame + frames) % frames)
  } else {
    if (between && first + between + last > frames) return fail("too many pictures", first + between + last)
    middle = spread(frames, between, first, last)
  }
  const taken = [...run(0, first), ...middle, ...run(frames - last, frames)]
  const twice = taken.find((frame, index) => taken.indexOf(frame) !== index)
  return twice === undefined ? { taken, problem: null } : fail("twice", twice)
}

function run(from, to) {
  return Array.from({ length: Math.max(to - from, 0) }, (_, index) => from + index)
}

/** Evenly between the ends that are given, else up to the ends themselves. */
function spread(frames, pictures, first, last) {
  if (!pictures) return []
  const start = Math.max(first - 1, 0)
  const stop = frames - Math.max(last, 1)
  const points = pictures + (first > 0) + (last > 0)
  if (points === 1) return [start]
  const step = (stop - start) / (points - 1)
  return run(first ? 1 : 0, points - (last ? 1 : 0)).map((point) => start + Math.floor(step * point + 0.5))
}

/**
 * The text of keyframe_places after one picture went to another frame; two pictures exchange their frames.
 *
 * @param {number[]} taken frames of all pictures, see `places`
 * @param {number} picture which of them goes
 * @param {number} frame where to
 * @returns {string | null} null for a picture or a frame of one of the ends
 */
export function movedPlaces(taken, picture, frame, first, last) {
  const movable = (index) => index >= first && index < taken.length - last
  const there = taken.indexOf(frame)
  if (!movable(picture) || (there >= 0 && !movable(there))) return null
  const moved = [...taken]
  if (there >= 0) moved[there] = taken[picture]
  moved[picture] = frame
  return moved.slice(first, moved.length - last).join(", ")
}

/** For each of the frames a mask keeps, in order, which of the pictures it shows; null where they do not fit. */
export function assigned(kept, frames, pictures) {
  const sorted = [...kept].sort((a, b) => a - b)
  if (pictures === sorted.length) return run(0, pictures)
  let head = sorted.findIndex((frame, index) => frame !== index)
  if (head < 0) head = sorted.length
  const tail = sorted.length - head
  if (!sorted.length || sorted.slice(head).some((frame, index) => frame !== frames - tail + index)) return null
  if (pictures === 1 && (!head || !tail)) return sorted.map(() => 0)
  if (pictures === 2 && head && tail) return sorted.map((_, index) => (index < head ? 0 : 1))
  return null
}
