/**
 * Chinese where the host has no way to translate: errors, the labels of choices, and the notes, groups and titles of the
 * pack's own workflows. Only what is shown changes: values, logs and what the API gives stay as they are.
 *
 * Errors are translated here and not where they are raised: the server does not know whose interface shows them, some
 * are raised inside stock samplers, and scripts and reports of faults go on reading one language.
 */

import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"
import { errorTranslator } from "./translated_errors.js"

const PREFIX = "SEINE"

/** Empty until the tables are there, which is before the first graph is, and empty in other languages. */
let translateError = (text) => text
let definitions = {}
let words = { notes: {}, groups: {}, titles: {} }

const isChinese = () => (app.extensionManager.setting.get("Comfy.Locale") ?? "en").startsWith("zh")

async function table(name) {
  const answer = await fetch(new URL(`../zh/${name}.json`, import.meta.url))
  return answer.json()
}

async function load() {
  if (!isChinese()) return
  const [errors, workflows, texts] = await Promise.all([
    table("errors"),
    table("workflows"),
    api.fetchApi("/i18n").then((answer) => answer.json())
  ])
  translateError = errorTranslator(errors)
  words = workflows
  definitions = texts.zh?.nodeDefs ?? {}
}

function labelChoices(node) {
  const inputs = definitions[node.comfyClass]?.inputs ?? {}
  for (const widget of node.widgets ?? []) {
    const labels = inputs[widget.name]?.options
    if (labels && widget.type === "combo") widget.options.getOptionLabel = (value) => labels[value] ?? value ?? ""
  }
}

/** A saved copy whose notes were rewritten is the user's own: without one of our notes nothing is translated. */
function translateWorkflow(graph) {
  const isNote = (node) => node.type === "MarkdownNote"
  const nodes = graph.nodes ?? []
  if (!nodes.some((node) => isNote(node) && words.notes[node.widgets_values?.[0]])) return
  for (const node of nodes) {
    if (isNote(node)) node.widgets_values[0] = words.notes[node.widgets_values[0]] ?? node.widgets_values[0]
    else if (words.titles[node.title]) node.title = words.titles[node.title]
  }
  for (const group of graph.groups ?? []) group.title = words.groups[group.title] ?? group.title
}

// Before the host's own listeners, which show the message.
api.addEventListener(
  "execution_error",
  ({ detail }) => (detail.exception_message = translateError(detail.exception_message)),
  { capture: true }
)

app.registerExtension({
  name: "SEINE.Chinese",
  init: load,
  nodeCreated(node) {
    if (node.comfyClass?.startsWith(PREFIX)) labelChoices(node)
  },
  beforeConfigureGraph: translateWorkflow
})
