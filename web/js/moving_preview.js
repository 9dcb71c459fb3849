/**
 * Plays the clip in the sampler's node while it is made. The pack's latent format gives ComfyUI's own latent preview a
 * grid of frames instead of one; here the grid is cut up again and its frames are shown one after the other, through the
 * same event by which ComfyUI shows any preview.
 */

import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"

const PREVIEW = "b_preview_with_metadata"
const LAYOUT = "seine_preview_layout"
const SETTING = "SEINE.Preview"
const FRAMES_PER_SECOND = 8

/** The layout announced for the next preview, if it is one of ours. */
let announced = null
let player = null

class Player {
  constructor(nodeId) {
    this.nodeId = nodeId
    this.frames = []
    this.position = 0
    this.timer = setInterval(() => this.showNext(), 1000 / FRAMES_PER_SECOND)
  }

  play(frames, details) {
    this.frames = frames
    this.details = details
    if (frames.length === 1) this.showNext()
  }

  showNext() {
    if (!this.frames.length || document.hidden) return
    const blob = this.frames[this.position % this.frames.length]
    this.position++
    if (this.frames.length === 1) this.frames = []
    api.dispatchCustomEvent(PREVIEW, { ...this.details, blob, isSeineFrame: true })
  }

  stop() {
    clearInterval(this.timer)
    this.frames = []
  }
}

function stop() {
  player?.stop()
  player = null
  announced = null
}

/** The frames of a grid, each as a JPEG. */
async function cut(blob, { columns, rows, frames }) {
  const grid = await createImageBitmap(blob)
  const width = grid.width / columns
  const height = grid.height / rows
  const pieces = []
  for (let frame = 0; frame < frames; frame++) {
    const canvas = new OffscreenCanvas(Math.round(width), Math.round(height))
    const [x, y] = [(frame % columns) * width, Math.floor(frame / columns) * height]
    canvas.getContext("2d").drawImage(grid, x, y, width, height, 0, 0, canvas.width, canvas.height)
    pieces.push(canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 }))
  }
  grid.close()
  return Promise.all(pieces)
}

async function onPreview(event) {
  if (event.detail.isSeineFrame) return
  const layout = announced
  announced = null
  const shown = app.extensionManager.setting.get(SETTING)
  if (!layout || shown === "grid") return stop()

  // Before ComfyUI's own listener, which would show the grid.
  event.stopImmediatePropagation()
  if (shown === "off") return stop()
  const { blob, ...details } = event.detail
  if (player?.nodeId !== details.displayNodeId) {
    player?.stop()
    player = new Player(details.displayNodeId)
  }
  const current = player
  const frames = await cut(blob, { ...layout, frames: shown === "first frame" ? 1 : layout.frames })
  if (player === current) current.play(frames, details)
}

// At import time, which is before ComfyUI registers its own listener.
api.addEventListener(LAYOUT, ({ detail }) => (announced = detail))
api.addEventListener(PREVIEW, onPreview)
for (const ended of ["execution_start", "execution_success", "execution_error", "execution_interrupted"]) {
  api.addEventListener(ended, stop)
}
api.addEventListener("executing", ({ detail }) => {
  if (player && detail !== player.nodeId) stop()
})

app.registerExtension({
  name: "SEINE.MovingPreview",
  settings: [
    {
      id: SETTING,
      category: ["SEINE", "Preview", "While sampling"],
      name: "Preview while sampling",
      tooltip: "What a sampler's node shows of a clip while it is made.",
      type: "combo",
      options: ["moving", "grid", "first frame", "off"],
      defaultValue: "moving"
    }
  ]
})
