/** How a clip's frames are drawn: pictures above, a bar with one cell a frame, numbers and a line of text below. */

const KEPT = "#ffc43d"
const PROBLEM = "#ff5c52"
const CARD = 40
const STEM = 6
const BAR = 22
const NUMBERS = 15
const TEXT = 17
const FONT = "11px sans-serif"
/** From this width on, all cells have their number. */
const NUMBERED = 20
/** Width of a number of one digit with some space, in pixels. */
const NARROWEST = 10

/**
 * @typedef {Object} View
 * @property {number} frames length of the clip; 0 where it is not known
 * @property {Set<number>} kept
 * @property {{frame: number, label: string, image: HTMLCanvasElement | null, movable: boolean}[]} pictures
 * @property {string} text the line below
 * @property {boolean} problem whether it says what is wrong
 */

/** Height in CSS pixels. */
export function stripHeight(view) {
  return (view.pictures.length ? CARD + STEM : 0) + (view.frames ? BAR + NUMBERS : 0) + TEXT
}

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {View} view
 * @param {number} width
 * @param {{ink: string, pointed: number | null, focused: number | null}} state colour of texts; frames under the
 *   pointer and at the keyboard's cursor
 */
export function drawStrip(context, view, width, { ink, pointed, focused }) {
  context.clearRect(0, 0, width, stripHeight(view))
  context.font = FONT
  const top = view.pictures.length ? CARD + STEM : 0
  if (view.frames) {
    drawCells(context, view, width, top, ink, [pointed, focused])
    drawNumbers(context, view, width, top + BAR + NUMBERS - 3, ink, [pointed, focused])
    for (const picture of cards(view, width)) drawCard(context, picture, ink)
  }
  context.globalAlpha = view.problem ? 1 : 0.75
  context.fillStyle = view.problem ? PROBLEM : ink
  context.fillText(view.text, 0, stripHeight(view) - 4, width)
  context.globalAlpha = 1
}

function drawCells(context, { frames, kept }, width, top, ink, marked) {
  const cell = width / frames
  const gap = cell > 6 ? 2 : 0
  const rounded = cell > 10 ? 3 : 0
  const fill = (frame, least) => {
    context.beginPath()
    context.roundRect(frame * cell, top, Math.max(cell - gap, least), BAR, rounded)
    context.fill()
  }
  context.fillStyle = ink
  context.globalAlpha = 0.22
  if (!gap) context.fillRect(0, top, width, BAR)
  else for (let frame = 0; frame < frames; frame++) if (!kept.has(frame)) fill(frame, 0)
  context.globalAlpha = 1
  context.fillStyle = KEPT
  // A kept frame of a long clip is narrower than a pixel; it stays visible.
  for (const frame of kept) fill(frame, 2)
  context.strokeStyle = ink
  for (const [index, frame] of marked.entries()) {
    if (frame === null || frame >= frames) continue
    context.lineWidth = index ? 2 : 1
    context.beginPath()
    context.roundRect(frame * cell + 0.5, top + 0.5, Math.max(cell - gap - 1, 2), BAR - 1, rounded)
    context.stroke()
  }
}

/** Marked frames first, then where runs of kept ones begin and end, then the rest, as far as there is room. */
function drawNumbers(context, { frames, kept }, width, baseline, ink, marked) {
  const cell = width / frames
  const taken = []
  const write = (frame, alpha) => {
    const label = String(frame)
    const size = context.measureText(label).width
    const left = Math.min(Math.max(frame * cell + (cell - size) / 2, 0), width - size)
    if (taken.some(([from, to]) => left < to + 4 && left + size > from - 4)) return
    taken.push([left, left + size])
    context.globalAlpha = alpha
    context.fillText(label, left, baseline)
  }
  context.fillStyle = ink
  for (const frame of marked) if (frame !== null && frame < frames) write(frame, 1)
  const ends = [...kept].filter((frame) => !kept.has(frame - 1) || !kept.has(frame + 1)).sort((a, b) => a - b)
  // No more of them than may fit; a clip has up to thousands.
  let last = -Infinity
  for (const frame of ends) if ((frame - last) * cell >= NARROWEST) write((last = frame), 1)
  if (cell >= NARROWEST) for (const frame of kept) write(frame, 1)
  if (cell >= NUMBERED) for (let frame = 0; frame < frames; frame++) if (!kept.has(frame)) write(frame, 0.45)
  context.globalAlpha = 1
}

/** Where each picture is: over its cell, moved aside only as far as the strip's ends demand. */
function cards({ frames, pictures }, width) {
  const cell = width / frames
  const widest = Math.max(CARD * 0.6, Math.min(CARD * 1.8, width / pictures.length - 2))
  return pictures.map((picture) => {
    const { image } = picture
    const shown = image ? Math.min((CARD * image.width) / image.height, widest) : Math.min(CARD, widest)
    const middle = (picture.frame + 0.5) * cell
    const left = Math.min(Math.max(middle - shown / 2, 0), width - shown)
    return { ...picture, left, width: shown, middle }
  })
}

/** The picture under a point of the strip, as its index; null for none. The last drawn is on top. */
export function pictureAt(view, width, x, y) {
  if (!view.frames || y >= CARD) return null
  const found = cards(view, width).findLastIndex((card) => x >= card.left && x < card.left + card.width)
  return found < 0 ? null : found
}

function drawCard(context, { left, width, middle, image, label, movable }, ink) {
  context.save()
  context.strokeStyle = movable ? KEPT : ink
  context.globalAlpha = movable ? 1 : 0.6
  context.lineWidth = 1
  context.beginPath()
  context.moveTo(middle, CARD)
  context.lineTo(middle, CARD + STEM)
  context.stroke()
  context.beginPath()
  context.roundRect(left + 0.5, 0.5, width - 1, CARD - 1, 3)
  context.stroke()
  context.clip()
  context.globalAlpha = 1
  if (image) {
    const scale = Math.max(width / image.width, CARD / image.height)
    const [wide, high] = [image.width * scale, image.height * scale]
    context.drawImage(image, left + (width - wide) / 2, (CARD - high) / 2, wide, high)
  } else {
    context.globalAlpha = 0.18
    context.fillStyle = ink
    context.fillRect(left, 0, width, CARD)
    context.globalAlpha = 1
    context.textAlign = "center"
    context.fillText(label, left + width / 2, CARD / 2 + 4, width - 4)
  }
  context.restore()
}
