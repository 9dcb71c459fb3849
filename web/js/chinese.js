/**
 * Chinese where the host has no way to translate: errors, the labels of choices, and the notes, groups and titles of the
 * pack's own workflows. Only what is shown changes: values, logs and what the API gives stay as they are.
 *
 * Errors are translated here and not where they are raised: the server does not know whose interface shows them, some
 * are raised inside stock samplers, and scripts and reports of faults go on reading one language.
 */

import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"
import { isChinese } from "./language.js"
import { errorTranslator } from "./translated_errors.js"

const PREFIX = "SEINE"

/** Null until they were first needed, which is before the first graph in Chinese. */
let tables = null

async function table(name) {
  const answer = await fetch(new URL(`../zh/${name}.json`, import.meta.url))
  return answer.json()
}

async function load() {
  if (tables || !isChinese()) return
  const [errors, words, texts] = await Promise.all([
    table("errors"),
    table("workflows"),
    api.fetchApi("/i18n").then((answer) => answer.json())
  ])
  tables = { translateError: errorTranslator(errors), words, definitions: texts.zh?.nodeDefs ?? {} }
}

function labelsOf(node, widget) {
  return isChinese() ? tables?.definitions[node.comfyClass]?.inputs?.[widget.name]?.options : undefined
}

/** Widgets without labels keep the host's own list, which can be searched. */
function labelChoices(node) {
  for (const widget of node.widgets ?? []) {
    if (widget.type !== "combo") continue
    Object.defineProperty(widget.options, "getOptionLabel", {
      get() {
        const labels = labelsOf(node, widget)
        return labels && ((value) => labels[value] ?? value ?? "")
      },
      configurable: true,
      enumerable: true
    })
  }
}

/** English by Chinese; of two with the same Chinese the first. */
function turned(words) {
  const pairs = Object.entries(words).map(([english, chinese]) => [chinese, english])
  return Object.fromEntries(pairs.reverse())
}

/**
 * To Chinese, and back where the language was changed on this page. A saved copy whose notes were rewritten is the
 * user's own: without one of our notes nothing is translated.
 */
async function translateWorkflow(graph) {
  await load()
  if (!tables) return
  const { notes, groups, titles } = tables.words
  if (isChinese()) translate(graph, notes, groups, titles)
  else translate(graph, turned(notes), turned(groups), turned(titles))
}

function translate(graph, notes, groups, titles) {
  const isNote = (node) => node.type === "MarkdownNote"
  const nodes = graph.nodes ?? []
  if (!nodes.some((node) => isNote(node) && notes[node.widgets_values?.[0]])) return
  for (const node of nodes) {
    if (isNote(node)) node.widgets_values[0] = notes[node.widgets_values[0]] ?? node.widgets_values[0]
    else if (titles[node.title]) node.title = titles[node.title]
  }
  for (const group of graph.groups ?? []) group.title = groups[group.title] ?? group.title
}

// Before the host's own listeners, which show the message.
api.addEventListener(
  "execution_error",
  ({ detail }) => {
    if (tables && isChinese()) detail.exception_message = tables.translateError(detail.exception_message)
  },
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
