/** Small copies of pictures, made once and kept while they are looked at. */

const HEIGHT = 96
const MOST = 64
const made = new Map()

/**
 * @param {string} address of the picture
 * @param {() => void} ready called when it can be drawn
 * @returns {HTMLCanvasElement | null} null until then, and for what is no picture
 */
export function thumbnail(address, ready) {
  if (!made.has(address)) {
    const entry = { canvas: null, waiting: new Set() }
    made.set(address, entry)
    if (made.size > MOST) made.delete(made.keys().next().value)
    const image = new Image()
    image.onload = () => {
      entry.canvas = smaller(image)
      for (const call of entry.waiting) call()
      entry.waiting.clear()
    }
    image.onerror = () => made.delete(address) // it may be uploaded later
    image.src = address
  }
  const { canvas, waiting } = made.get(address)
  if (!canvas) waiting.add(ready)
  return canvas
}

function smaller(image) {
  const canvas = document.createElement("canvas")
  canvas.height = Math.min(HEIGHT, image.naturalHeight)
  canvas.width = Math.max(1, Math.round((image.naturalWidth * canvas.height) / image.naturalHeight))
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
  return canvas
}
