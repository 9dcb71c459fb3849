/** Small copies of pictures, made once and kept while they are looked at. */

const HEIGHT = 96
/** So many are kept that no view shows any more. */
const MOST = 64

/** Those that still exist, by address: a view holds what it shows. */
const made = new Map()
/** The last that were asked for. */
const latest = new Map()
/** What to call when a picture is there, by address. */
const loading = new Map()
/** What to call with the next frame, and what nobody else holds until then. */
let due = null

/**
 * @param {string} address of the picture
 * @param {() => void} ready called when it can be drawn; once for all that come in one frame
 * @returns {HTMLCanvasElement | null} null until then, and for what is no picture
 */
export function thumbnail(address, ready) {
  const canvas = made.get(address)?.deref()
  if (canvas) {
    keep(address, canvas)
    return canvas
  }
  if (!loading.has(address)) load(address)
  loading.get(address).add(ready)
  return null
}

function keep(address, canvas) {
  latest.delete(address)
  latest.set(address, canvas)
  if (latest.size > MOST) latest.delete(latest.keys().next().value)
}

function load(address) {
  for (const [old, reference] of made) if (!reference.deref()) made.delete(old)
  const waiting = new Set()
  loading.set(address, waiting)
  const image = new Image()
  image.onload = () => {
    const canvas = smaller(image)
    made.set(address, new WeakRef(canvas))
    keep(address, canvas)
    loading.delete(address)
    tell(waiting, canvas)
  }
  image.onerror = () => loading.delete(address) // it may be uploaded later
  image.src = address
}

function tell(waiting, canvas) {
  if (!due) {
    due = { calls: new Set(), canvases: [] }
    requestAnimationFrame(() => {
      const { calls, canvases } = due
      due = null
      for (const call of calls) call()
      canvases.length = 0
    })
  }
  due.canvases.push(canvas)
  for (const call of waiting) due.calls.add(call)
}

function smaller(image) {
  const canvas = document.createElement("canvas")
  canvas.height = Math.min(HEIGHT, image.naturalHeight)
  canvas.width = Math.max(1, Math.round((image.naturalWidth * canvas.height) / image.naturalHeight))
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
  return canvas
}
