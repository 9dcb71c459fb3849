/**
 * Dates and values of other widgets in a file's name, %date:yyyy-MM-dd% or %SEINEKSampler.seed%: ComfyUI puts them in
 * for the nodes of a list of its own, and keeps the function for others.
 */

import { app } from "../../../scripts/app.js"

const PREFIX = "SEINE"
const INPUT = "filename_prefix"

app.registerExtension({
  name: "SEINE.FileNames",
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith(PREFIX)) return
    const widget = node.widgets?.find((widget) => widget.name === INPUT)
    // Not imported: for a module of scripts the host warns in the console.
    const replaced = window.comfyAPI?.utils?.applyTextReplacements
    if (widget && replaced) widget.serializeValue = () => replaced(app, widget.value)
  }
})
