/** Tells a node's timeline when something has changed that it shows, on its own node or further up the graph. */

import { api } from "../../../scripts/api.js"
import { app } from "../../../scripts/app.js"
import { fineness } from "./frame_strip.js"
import { changeHeight } from "./node_widgets.js"

/** What to call for each node that is in a graph. */
export const watching = new Map()

function refreshAll() {
  const there = new Set(nodesOf(app.graph))
  for (const [node, refresh] of watching) {
    if (there.has(node)) refresh()
    else watching.delete(node) // the host does not say so of the nodes in a subgraph, when a graph is cleared
  }
}

/** A graph's nodes, and those of the subgraphs in it. */
function nodesOf(graph, seen = new Set()) {
  if (seen.has(graph)) return []
  seen.add(graph)
  return graph.nodes.flatMap((node) => [node, ...(node.isSubgraphNode?.() ? nodesOf(node.subgraph, seen) : [])])
}

api.addEventListener("graphChanged", refreshAll)

/** What all timelines were last drawn for: zoom and colours. */
let drawn = null

app.registerExtension({
  name: "SEINE.Timelines",
  setup() {
    // The one call that both the classic canvas and Vue's nodes have for each change of zoom or palette.
    after(app.canvas, "onDrawForeground", () => {
      const now = `${fineness()} ${globalThis.LiteGraph.WIDGET_TEXT_COLOR}`
      if (drawn === now) return
      drawn = now
      requestAnimationFrame(refreshAll) // a palette's styles come after its canvas
    })
  }
})

/**
 * @param {Object} node
 * @param {() => void} look called now and after each change; the node's height follows, but not while a saved one is
 *   loaded with its own
 */
export function watch(node, look) {
  // A copy's wires come after it, such as in a paste or a subgraph taken apart, and its height is for all of them.
  let loading = false
  const load = () => {
    loading = true
    queueMicrotask(() => (loading = false))
    look()
  }
  const refresh = () => (app.configuringGraph || loading ? look() : changeHeight(node, look))
  // Other copies are configured with the wires of a graph that they are not in: they are looked at when they are added.
  const inGraph = (act) => () => node.graph && act()
  refresh()
  for (const widget of node.widgets) after(widget, "callback", inGraph(refresh))
  after(node, "onConfigure", inGraph(load))
  after(node, "onAfterGraphConfigured", inGraph(look)) // now nodes further up have their values too
  after(node, "onConnectionsChange", inGraph(refresh))
  after(node, "onAdded", () => (watching.set(node, refresh), look()))
  after(node, "onRemoved", () => watching.delete(node))
}

function after(owner, name, then) {
  const before = owner[name]
  owner[name] = function (...given) {
    const result = before?.apply(this, given)
    then()
    return result
  }
}
