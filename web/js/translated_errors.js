/** Messages by a table of patterns: {1}, {2} … in the English stand for anything, and come back in the translation. */

const PLACE = /\{(\d+)\}/

function pattern(english) {
  const pieces = english.split(PLACE)
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  return new RegExp(`^${pieces.map((piece, at) => (at % 2 ? `(?<v${piece}>.*?)` : escaped(piece))).join("")}$`, "s")
}

/**
 * @param {Record<string, string>} table translations by English pattern
 * @returns {(message: string) => string} the translation, or the message itself where the table has none
 */
export function errorTranslator(table) {
  const size = (english) => english.replace(/\{\d+\}/g, "").length
  const entries = Object.entries(table)
    .sort(([a], [b]) => size(b) - size(a)) // the most particular first
    .map(([english, translation]) => [pattern(english), translation])

  function find(text) {
    if (!text.includes(" ")) return null
    for (const [english, translation] of entries) {
      const match = english.exec(text)
      if (match) {
        return translation.replace(/\{(\d+)\}/g, (_, place) => {
          const value = match.groups[`v${place}`]
          return find(value) ?? value
        })
      }
    }
    // Which input it is, or which file, stands before another error's words.
    const colon = text.indexOf(": ")
    const rest = colon < 0 ? null : find(text.slice(colon + 2))
    return rest && `${text.slice(0, colon)}：${rest}`
  }

  return (message) => {
    const whole = message?.trim() ?? ""
    const translation = find(whole)
    if (translation) return translation
    // The host appends advice of its own on further lines.
    const [first, ...others] = whole.split("\n")
    const known = others.length ? find(first) : null
    return known ? [known, ...others].join("\n") : message
  }
}
