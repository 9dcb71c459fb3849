/**
 * A clip's frames on a node, to look at and to change by pointer or keys. What they mean is the node's: it gives a view
 * of them, and says what pressing a frame or a picture does.
 */

import { app } from "../../../scripts/app.js"
import { drawStrip, pictureAt, stripHeight } from "./strip_drawing.js"

const MARGIN = 8
/** On the classic canvas, other widgets stand this much further in. */
const INSET = 7
const FINEST = 4
const MIDDLE_BUTTON = 1

/** How finely to draw at the canvas's zoom, in steps of 2. */
export function fineness() {
  return Math.min(Math.max(2 ** Math.ceil(Math.log2(app.canvas?.ds.scale ?? 1)), 1), FINEST)
}

export class FrameStrip {
  /**
   * @param {Object} node
   * @param {() => import("./strip_drawing.js").View} look what to show
   * @param {(frame: number, picture: number | null) => {show: (frame: number) => Object, done: () => void} | null} press
   *   begins a change at a frame: `show` gives what there would be to see with it drawn on to another frame, `done` makes it
   * @param {(frame: number, picture: number | null) => string} tell the tooltip of a frame or picture
   */
  constructor(node, { look, press, tell }) {
    Object.assign(this, { node, look, press, tell })
    this.view = look()
    this.pointed = null
    this.cursor = null
    this.drag = null
    this.byKeys = false
    this.element = document.createElement("div")
    this.canvas = document.createElement("canvas")
    this.canvas.className = "seine-timeline"
    this.canvas.tabIndex = 0
    this.canvas.style.cssText = "display: block; width: 100%; outline: none; touch-action: none"
    this.element.style.cssText = "overflow: hidden; color: var(--input-text, #ddd)"
    this.element.append(this.canvas)
    this.listen()
    this.widget = this.addWidget()
    new ResizeObserver(() => this.draw()).observe(this.canvas)
  }

  addWidget() {
    const height = () => stripHeight(this.view) + 2 * MARGIN
    const options = { serialize: false, hideOnZoom: false, margin: MARGIN, getMinHeight: height, getMaxHeight: height }
    const widget = this.node.addDOMWidget("timeline", "seine_timeline", this.element, options)
    widget.serialize = false
    // A new node was measured before it had the timeline; a loaded one gets its saved size after this.
    const bottom = this.node.computeSize()[1]
    if (this.node.size[1] < bottom) this.node.setSize([this.node.size[0], bottom])
    return widget
  }

  /** Look again at what the node has. */
  refresh() {
    this.view = this.look()
    this.draw()
    this.node.setDirtyCanvas?.(true, true)
  }

  draw() {
    const height = stripHeight(this.view)
    this.canvas.style.height = `${height}px`
    this.describe()
    this.element.style.padding = globalThis.LiteGraph?.vueNodesMode ? "0" : `0 ${INSET}px`
    const width = this.canvas.clientWidth
    if (!width) return
    const scale = fineness() * (window.devicePixelRatio || 1)
    this.canvas.width = Math.round(width * scale)
    this.canvas.height = Math.round(height * scale)
    const context = this.canvas.getContext("2d")
    context.scale(scale, scale)
    const focused = this.byKeys && document.activeElement === this.canvas ? (this.cursor ?? 0) : null
    drawStrip(context, this.view, width, {
      ink: getComputedStyle(this.canvas).color,
      pointed: this.pointed,
      focused
    })
  }

  /** For those who hear the page: which frame the keys are at, and what it is. */
  describe() {
    const { text, frames } = this.view
    const frame = frames ? this.within(this.cursor ?? 0) : null
    const values = frames
      ? { valuemin: 0, valuemax: frames - 1, valuenow: frame, valuetext: this.tell(frame, null) }
      : { valuemin: null, valuemax: null, valuenow: null, valuetext: null }
    this.canvas.setAttribute("role", frames ? "slider" : "img")
    for (const [name, value] of Object.entries({ label: text, ...values })) {
      if (value === null) this.canvas.removeAttribute(`aria-${name}`)
      else this.canvas.setAttribute(`aria-${name}`, value)
    }
  }

  /** Frame and picture at a pointer's place; frames beyond the ends are the ends. */
  at(event) {
    const box = this.canvas.getBoundingClientRect()
    const width = this.canvas.clientWidth
    const x = ((event.clientX - box.left) / box.width) * width
    const y = ((event.clientY - box.top) / box.height) * stripHeight(this.view)
    const picture = pictureAt(this.view, width, x, y)
    const frame = this.within(Math.floor((x / width) * this.view.frames))
    return { frame: picture === null ? frame : this.view.pictures[picture].frame, picture, over: frame }
  }

  within(frame) {
    return Math.min(Math.max(frame, 0), this.view.frames - 1)
  }

  point(frame) {
    if (frame === this.pointed) return
    this.pointed = frame
    this.draw()
  }

  listen() {
    const { canvas } = this
    const on = (name, handle) => canvas.addEventListener(name, handle.bind(this))
    on("pointerdown", this.onPointerDown)
    on("pointermove", this.onPointerMove)
    on("pointerup", this.end)
    on("pointercancel", this.end)
    on("lostpointercapture", this.end)
    on("pointerleave", () => this.drag || this.point(null))
    on("keydown", this.onKeyDown)
    on("keyup", (event) => event.key === "Shift" && this.end())
    on("focus", () => ((this.byKeys = canvas.matches(":focus-visible")), this.draw()))
    on("blur", () => (this.end(), this.draw()))
    on("wheel", (event) => globalThis.LiteGraph?.vueNodesMode || app.canvas.processMouseWheel(event))
  }

  onPointerDown(event) {
    if (event.button === MIDDLE_BUTTON) app.canvas.processMouseDown(event) // moves the graph, as everywhere else
    if (event.button || !this.view.frames) return
    event.stopPropagation()
    this.canvas.focus({ preventScroll: true })
    this.byKeys = false
    this.canvas.setPointerCapture(event.pointerId)
    const { frame, picture, over } = this.at(event)
    this.cursor = frame
    this.held = frame - over // a picture is wider than its cell
    this.begin(frame, picture)
    if (this.drag && !this.view.editable) this.canvas.style.cursor = "grabbing"
    this.point(frame)
  }

  onPointerMove(event) {
    if (event.buttons === 4) app.canvas.processMouseMove(event)
    if (!this.view.frames) return
    const { frame, picture, over } = this.at(event)
    if (this.drag) {
      const target = this.within(over + this.held)
      if (target !== this.cursor) this.show((this.cursor = target))
      this.point(target)
      return
    }
    this.point(frame)
    this.canvas.title = this.tell(frame, picture)
    const movable = this.view.pictures.some((each) => each.frame === frame && each.movable)
    this.canvas.style.cursor = movable ? "grab" : this.view.editable ? "pointer" : "default"
  }

  begin(frame, picture) {
    this.end()
    this.drag = this.press(frame, picture)
    if (this.drag) this.show(frame)
  }

  show(frame) {
    this.view = this.drag.show(frame)
    this.draw()
  }

  /** A change is whole, and one step to undo however long it took; the interface would not notice it by itself. */
  end() {
    const { drag } = this
    if (!drag) return
    this.drag = null
    app.canvas.emitBeforeChange()
    drag.done()
    app.canvas.emitAfterChange()
  }

  /** Arrows, Home and End go through the frames, with Shift they change them on the way; Enter and Space press one. */
  onKeyDown(event) {
    const { frames } = this.view
    if (!frames || event.ctrlKey || event.metaKey || event.altKey) return
    const from = this.within(this.cursor ?? 0)
    const goals = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: frames - 1, Enter: from, " ": from }
    const to = goals[event.key]
    if (to === undefined) return
    event.preventDefault()
    event.stopPropagation()
    this.byKeys = true
    if (event.key === "Enter" || event.key === " ") {
      this.cursor = from
      this.begin(from, null)
      this.end()
    } else {
      if (event.shiftKey && !this.drag) this.begin(from, null)
      this.cursor = this.within(to)
      if (event.shiftKey && this.drag) this.show(this.cursor)
    }
    this.canvas.title = this.tell(this.cursor, null)
    this.draw()
  }
}
